// Completes package-lock.json after `npm install` against a registry that serves only some platforms' binaries: npm leaves out
// what it cannot look up, and `npm ci` then refuses the lock file. Entries made here carry no checksum: npm takes theirs from
// the registry, and only on a machine of that platform.
import { readFile, writeFile } from 'node:fs/promises'

const file = new URL('../package-lock.json', import.meta.url)
const lock = JSON.parse(await readFile(file, 'utf8'))

/** The platform that a package's name tells, such as `@oxlint/binding-linux-x64-musl`. */
function platform(name) {
  const words = name.split(/[-/]/)
  const os = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32']
  const cpu = ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64']
  const libc = { musl: 'musl', musleabihf: 'musl', gnu: 'glibc', gnueabihf: 'glibc' }[words.at(-1)]
  const found = { os: words.filter((word) => os.includes(word)), cpu: words.filter((word) => cpu.includes(word)) }
  if (found.os.length !== 1) throw new Error(`Which platform is ${name} for?`)
  return { cpu: found.cpu.length === 1 ? found.cpu : undefined, libc: libc && [libc], os: found.os }
}

let added = 0
for (const [path, { optionalDependencies = {}, dev }] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    if (lock.packages[`${path}/node_modules/${name}`] || lock.packages[`node_modules/${name}`]) continue
    if (!/^\d/.test(version)) continue // a range: not a platform's binary
    const { cpu, libc, os } = platform(name)
    lock.packages[`node_modules/${name}`] = { version, cpu, dev, libc, optional: true, os } // in npm's order
    added++
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)))
await writeFile(file, `${JSON.stringify(lock, undefined, 2)}\n`)
console.log(`package-lock.json: ${added} platform packages added`)
