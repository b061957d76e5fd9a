const kept = []

/** Objects in the heap of JavaScript. */
export function fillHeap() {
  const more = () => {
    for (let i = 0; i < 20; i++) kept.push(Array.from({ length: 50_000 }, (_, n) => ({ n })))
    setTimeout(more, 1)
  }
  setTimeout(more, 10)
}

/** Bytes beside the heap, touched, so that they are really there; other work goes on between. */
export function fillBuffers() {
  const more = () => {
    kept.push(Buffer.alloc(8_000_000, 1))
    setTimeout(more, 20)
  }
  setTimeout(more, 10)
}

/** The same at one go: nobody is told anything meanwhile. At most what is said, so that a machine that lets it does not die of it. */
export function fillBuffersAtOnce({ maxMb }) {
  setTimeout(() => {
    for (let mb = 0; mb < maxMb; mb += 16) kept.push(Buffer.alloc(16_000_000, 1))
    for (;;);
  }, 10)
}

/** The same until there is no more: the kernel's own limit is an exception in its code. */
export function fillBuffersUntilRefused({ maxMb }) {
  setTimeout(() => {
    for (let mb = 0; mb < maxMb; mb += 16) kept.push(Buffer.alloc(16_000_000, 1))
  }, 10)
}

/** Timers, listeners, descriptors, what it owns: whatever ends with the process. */
export async function leak(_args, { ctx }) {
  const { open } = await import('node:fs/promises')
  const { createServer } = await import('node:net')
  let files = 0
  for (let i = 0; i < 2000; i++) {
    setInterval(() => i, 1_000_000)
    process.on('exit', () => i)
    ctx.own(() => i)
    ctx.onSubscribe(() => i)
  }
  const servers = Array.from({ length: 50 }, () =>
    createServer()
      .on('error', () => undefined)
      .listen(0, '127.0.0.1'),
  )
  for (; files < 200; files++) kept.push(await open(new URL(import.meta.url)))
  return { files, servers: servers.length }
}
