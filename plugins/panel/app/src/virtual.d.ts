declare module 'virtual:messages' {
  /** By language, such as `de`. */
  export const languages: Readonly<Record<string, () => Promise<{ readonly default: Readonly<Record<string, string>> }>>>
}
