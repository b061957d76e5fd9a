import os from 'node:os'
import t from 'tap'
import { linksFor, linkUrls } from '../../scripts/cli/link-urls.ts'

void t.test('a link is for where the daemon listens, and for neighbours only when asked', async (t) => {
  const own = Object.values(os.networkInterfaces())
    .flatMap((list = []) => list.map(({ address }) => address))
    .filter((address) => /^(10|192\.168|169\.254|172\.(1[6-9]|2\d|3[01]))\./.test(address))
  const everywhere = own.map((address) => `http://${address}:8080`)
  t.same(linkUrls('http://127.0.0.1:8080', false), ['http://127.0.0.1:8080'])
  t.same(linkUrls('http://127.0.0.1:8080', true), ['http://127.0.0.1:8080'])
  t.same(linkUrls('http://0.0.0.0:8080', false), ['http://127.0.0.1:8080'])
  t.same(linkUrls('http://0.0.0.0:8080', true), ['http://127.0.0.1:8080', ...everywhere])
  t.same(linkUrls('https://[::]:8443', false), ['https://[::1]:8443'])
  t.same(linkUrls('http://192.168.1.5:8080', false), [])
  t.same(linkUrls('http://192.168.1.5:8080', true), ['http://192.168.1.5:8080'])
  t.same(linkUrls('http://[fd00::5]:8080', true), ['http://[fd00::5]:8080'])
  t.same(linkUrls('http://203.0.113.5:8080', true), [])
})

void t.test('a code becomes a link for each place, and where there is none a sentence says what to try', async (t) => {
  t.same(linksFor({ code: 'abc', url: 'http://127.0.0.1:8080' }, false), ['http://127.0.0.1:8080/login#abc'])
  t.throws(() => linksFor({ code: 'abc', url: 'http://192.168.1.5:8080' }, false), { message: /Try: patchbay login --lan$/ })
})
