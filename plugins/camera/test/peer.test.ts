import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { mayDial, parseCandidate, type Reach, told } from '../peer/addresses.ts'
import { clientServers, ownServers } from '../peer/ice-servers.ts'
import { Refusal } from '../peer/refusal.ts'
import { readReports } from '../peer/rtcp.ts'
import { readDescription, withoutAddresses } from '../peer/sdp.ts'

const line = (address: string, type = 'host', more = '') => `candidate:1 1 UDP 2122252543 ${address} 50000 typ ${type}${more}`
const candidate = (address: string, type?: string, more?: string) => {
  const parsed = parseCandidate(line(address, type, more))
  if (!parsed) throw new Error(`${address} is no candidate`)
  return parsed
}

void t.test('a stranger makes this machine knock at no name, and at none of its own doors', async (t) => {
  for (const address of ['192.168.1.7', '203.0.113.9', '2001:db8::7', 'fd00::2'])
    t.ok(mayDial(candidate(address), { local: false, relayOnly: false }), address)
  const near = ['127.0.0.1', '127.9.9.9', '::1', '169.254.1.1', 'fe80::1', '::ffff:127.0.0.1']
  for (const address of near) t.notOk(mayDial(candidate(address), { local: false, relayOnly: false }), address)
  for (const address of ['127.0.0.1', '::1', 'fe80::1'])
    t.ok(mayDial(candidate(address), { local: true, relayOnly: false }), address)
  const never = [
    'a.example',
    '4f1c.local',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    'ff02::1',
    '::ffff:7f00:1',
    '2130706433',
  ]
  for (const address of never) t.notOk(mayDial(candidate(address), { local: true, relayOnly: false }), address)
  t.notOk(mayDial(candidate('192.168.1.7'), { local: true, relayOnly: true }))
  t.ok(mayDial(candidate('192.168.1.7', 'relay'), { local: true, relayOnly: true }))
  t.equal(parseCandidate('candidate:1 1 TCP 1 192.168.1.7 9 typ host tcptype active'), undefined, 'the picture goes over UDP')
  for (const none of [
    '',
    'candidate',
    `${line('192.168.1.7')}\r\na=x`,
    line('192.168.1.7', 'strange'),
    line(`1${'0'.repeat(300)}`),
  ])
    t.equal(parseCandidate(none), undefined)
})

void t.test('what this machine tells of itself is what its owner lets it tell', async (t) => {
  const reach: Reach = { interfaces: [], local: false, relayOnly: false }
  const interfaces = { eth0: [{ address: '192.168.1.2' }], wlan0: [{ address: '192.168.2.2' }] } as unknown as Parameters<
    typeof told
  >[2]
  const tells = (address: string, given: Partial<Reach>, type?: string, more?: string) =>
    told(candidate(address, type, more), { ...reach, ...given }, interfaces)
  t.equal(tells('192.168.1.2', {}), line('192.168.1.2'))
  t.equal(tells('127.0.0.1', {}), undefined)
  t.equal(tells('127.0.0.1', { local: true }), line('127.0.0.1'))
  t.equal(tells('192.168.1.2', { interfaces: ['eth0'] }), line('192.168.1.2'))
  t.equal(tells('192.168.2.2', { interfaces: ['eth0'] }), undefined)
  const from = ' raddr 192.168.1.2 rport 50000'
  t.equal(tells('203.0.113.9', { relayOnly: true }, 'srflx', from), undefined)
  t.equal(tells('192.168.1.2', { relayOnly: true }), undefined)
  t.equal(tells('203.0.113.1', { relayOnly: true }, 'relay', from), line('203.0.113.1', 'relay', ' raddr 0.0.0.0 rport 9'))
  const sdp = withoutAddresses(
    [
      'v=0',
      'o=rtc 1 0 IN IP4 192.168.1.2',
      'm=video 50000 UDP/TLS/RTP/SAVPF 96',
      'c=IN IP6 2001:db8::7',
      `a=${line('192.168.1.2')}`,
      '',
    ].join('\r\n'),
  )
  t.notMatch(sdp, /192\.168|2001:db8|50000/)
})

const head = ['v=0', 'o=- 1 2 IN IP4 127.0.0.1', 's=-', 't=0 0']
const video = [
  'm=video 9 UDP/TLS/RTP/SAVPF 96 102 103 108',
  'c=IN IP4 0.0.0.0',
  'a=mid:0',
  'a=ice-ufrag:abcd',
  'a=ice-pwd:0123456789abcdefghijklmn',
  `a=fingerprint:sha-256 ${Array.from({ length: 32 }, () => 'AB').join(':')}`,
  'a=setup:actpass',
  'a=recvonly',
  'a=rtcp-mux',
  'a=rtpmap:96 VP8/90000',
  'a=rtpmap:102 H264/90000',
  'a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f',
  'a=rtpmap:103 H264/90000',
  'a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f',
  'a=rtpmap:108 H264/90000',
  'a=fmtp:108 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f',
]
const sdpOf = (...lines: string[]) => `${lines.join('\r\n')}\r\n`

void t.test('of a browser’s description its H.264 is found, and its candidates are taken out', async (t) => {
  const {
    video: found,
    candidates,
    sdp,
  } = readDescription(sdpOf(...head, ...video, `a=${line('192.168.1.7')}`, 'a=end-of-candidates'))
  t.match(found, { mid: '0', payloadType: 108, fmtp: /42e01f/ })
  t.strictSame(candidates, [`a=${line('192.168.1.7')}`])
  t.notMatch(sdp, /candidate/)
  t.match(
    readDescription(sdpOf(...head, ...video.slice(0, -2))).video,
    { payloadType: 102 },
    'another profile is better than none',
  )
})

void t.test('a description that cannot be used is refused with a code', async (t) => {
  const refused = (sdp: string, code = 'CAMERA_BAD_SIGNAL') =>
    t.throws(() => readDescription(sdp), { code }, JSON.stringify(sdp.slice(0, 60)))
  const without = (pattern: RegExp) => sdpOf(...head, ...video.filter((entry) => !pattern.test(entry)))
  refused(without(/H264/), 'CAMERA_NO_H264')
  refused(sdpOf(...head, ...video).replace('m=video 9', 'm=video 0'), 'CAMERA_NO_H264')
  for (const needed of [/^a=mid/, /^a=ice-ufrag/, /^a=ice-pwd/, /^a=fingerprint/, /^m=/]) refused(without(needed))
  refused(sdpOf(...head.slice(1), ...video))
  refused(sdpOf(...head, ...video, 'm=application 9 UDP/DTLS/SCTP webrtc-datachannel', 'a=mid:1'))
  refused(sdpOf(...head, ...video, ...video, ...video, ...video, ...video))
  refused(sdpOf(...head, ...video, 'a=x:é'))
  refused(sdpOf(...head, ...video, 'no line of SDP'))
  refused(sdpOf(...head, ...video, ...Array.from({ length: 600 }, () => 'a=x')))
  refused('x'.repeat(30_000))
})

void t.test('whatever a description or a candidate is made of, it is read or refused', async (t) => {
  const piece = fc.oneof(
    fc.constantFrom(...head, ...video, `a=${line('10.0.0.1')}`, '', 'm=', 'a=', '\0', 'm=audio 9 x 0'),
    fc.string(),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), fc.constantFrom('\n', '\r\n'), (lines, end) => {
      try {
        readDescription(lines.join(end))
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
      }
    }),
    { numRuns: 500 },
  )
  fc.assert(fc.property(fc.string({ maxLength: 300 }), (text) => void parseCandidate(text)))
  t.pass('nothing else was thrown')
})

const report = (ssrc: number, lost: number, sentAt: number, heldFor: number) => {
  const packet = Buffer.alloc(32)
  packet.writeUInt32BE(0x81c90007, 0)
  packet.writeUInt32BE(7, 4)
  packet.writeUInt32BE(ssrc, 8)
  packet.writeUInt8(lost, 12)
  packet.writeUInt32BE(sentAt, 24)
  packet.writeUInt32BE(heldFor, 28)
  return packet
}

void t.test('losses, the way there and back, and what it could carry are in the viewer’s reports', async (t) => {
  const now = 1_800_000_000_000
  const middle = ((now / 1000 + 2_208_988_800) * 65_536) % 2 ** 32
  const ago = (ms: number) => Math.round(middle - ms * 65.536 + 2 ** 32) % 2 ** 32
  t.match(readReports(report(5, 64, ago(150), 6554), 5, now), { lost: 0.25, roundTripMs: 50 })
  t.strictSame(readReports(report(6, 64, ago(150), 6554), 5, now), {}, 'of another stream')
  t.strictSame(readReports(report(5, 0, 0, 0), 5, now), { lost: 0 }, 'before it has heard of a time of ours')
  // As Chromium 156 sends it: 1,500,000 bit/s with an exponent of 3.
  const remb = Buffer.from('8fce00050000000100000000' + '52454d42' + '010edc6c' + '00000005', 'hex')
  t.strictSame(readReports(Buffer.concat([report(5, 0, 0, 0), remb]), 5, now), { lost: 0, estimateKbps: 1500 })
  const pli = Buffer.from('81ce0002' + '00000001' + '00000005', 'hex')
  t.strictSame(readReports(pli, 5, now), { wantsKeyFrame: true })
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void readReports(Buffer.from(bytes), 5, now)))
})

void t.test('passwords for the relay are a user’s own and do not last', async (t) => {
  const settings = { stun: ['stun:192.0.2.1'], turn: ['turn:[2001:db8::1]:5349'], turnSecret: 'hush', turnSeconds: 600 }
  const username = '1800000600:telegram_7'
  const credential = createHmac('sha1', 'hush').update(username).digest('base64')
  t.strictSame(clientServers('telegram:7', settings, 1_800_000_000_000), [
    { urls: ['stun:192.0.2.1'] },
    { urls: ['turn:[2001:db8::1]:5349'], username, credential },
  ])
  t.match(ownServers(settings, 1_800_000_000_000), [
    { hostname: '192.0.2.1', port: 3478 },
    { hostname: '2001:db8::1', port: 5349, username: '1800000600:patchbay', relayType: 'TurnUdp' },
  ])
  const [{ username: longest } = {}] = clientServers('a', { ...settings, stun: [], turnSeconds: 1e9 }, 0)
  t.equal(longest, '3600:a', 'an hour at most')
  t.strictSame(clientServers('a', { ...settings, stun: [], turn: [] }), [], 'none unless an owner names one')
})
