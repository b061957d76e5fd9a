/** A file of dbus-native that has no types of its own. Throws if the values do not fit the signature. */
declare module 'dbus-native/lib/marshall.js' {
  export default function marshall(signature: string, values: readonly unknown[]): Buffer
}
