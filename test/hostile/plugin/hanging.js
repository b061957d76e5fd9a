const forever = () => {
  for (;;);
}

/** After the answer. */
export function loop() {
  setTimeout(forever, 10)
}

/** At once, and so never answered. */
export function loopInHandler() {
  forever()
}

export function loopWithTimers() {
  for (let i = 0; i < 1000; i++) setInterval(() => i, 1)
  setTimeout(forever, 10)
}

/** No timer is reached any more, though nothing blocks. */
export function loopOfMicrotasks() {
  const again = () => void Promise.resolve().then(again)
  setTimeout(again, 10)
}

export function sleepForever() {
  setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 10)
}

/** No exception and no deadline of its own ends this. */
export function backtrack() {
  setTimeout(() => /^(a+)+$/.test(`${'a'.repeat(40)}b`), 10)
}

export function stopItself() {
  setTimeout(() => process.kill(process.pid, 'SIGSTOP'), 10)
}

export function neverSettle() {
  return new Promise(() => undefined)
}
