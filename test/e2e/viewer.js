// What an app does with a picture, in the page of a test: `viewer` is called by screen.ts.
const video = document.createElement('video')
video.muted = true
video.autoplay = true
video.style.width = '640px'
document.body.append(video)
const canvas = document.createElement('canvas')
const context = canvas.getContext('2d', { willReadFrequently: true })
const seen = { frames: 0, width: 0, height: 0, number: null, madeAt: null, seenAt: null, numbers: [] }
let pc

/** Red, green and blue at a place of what was drawn last, each part of its size. */
function colour([x, y]) {
  return [...context.getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data].slice(0, 3)
}

/** A row of 16 cells in the test pattern, white for 1. */
function read(row) {
  let value = 0
  for (let bit = 0; bit < 16; bit++) value = value * 2 + (colour([(bit + 0.5) / 16, (row + 0.5) / 16])[0] > 127 ? 1 : 0)
  return value
}

function draw(source, width, height) {
  canvas.width = width
  canvas.height = height
  context.drawImage(source, 0, 0)
}

function onFrame() {
  draw(video, video.videoWidth, video.videoHeight)
  seen.frames++
  seen.width = video.videoWidth
  seen.height = video.videoHeight
  seen.number = read(0)
  seen.madeAt = read(1)
  seen.seenAt = Date.now()
  seen.numbers.push(seen.number)
  if (seen.numbers.length > 1000) seen.numbers.shift()
  video.requestVideoFrameCallback(onFrame)
}
video.requestVideoFrameCallback(onFrame)

function connect(iceServers) {
  pc?.close()
  pc = new RTCPeerConnection({ iceServers })
  pc.onicecandidate = ({ candidate }) => void tell('camera:ice_candidate', candidate?.toJSON() ?? null)
  pc.ontrack = ({ track }) => {
    video.srcObject = new MediaStream([track])
  }
}

globalThis.viewer = {
  /** Takes an offer and gives its answer. */
  async takeOffer(sdp, iceServers) {
    connect(iceServers)
    await pc.setRemoteDescription({ type: 'offer', sdp })
    await pc.setLocalDescription()
    return pc.localDescription.toJSON()
  },
  takeAnswer: (sdp) => pc.setRemoteDescription({ type: 'answer', sdp }),
  takeCandidate: (candidate) => pc.addIceCandidate(candidate),
  async offer() {
    connect([])
    pc.addTransceiver('video', { direction: 'recvonly' })
    await pc.setLocalDescription()
    return pc.localDescription.toJSON()
  },
  hangUp: () => pc?.close(),
  look: () => ({ ...seen, numbers: undefined }),
  numbers: () => seen.numbers.splice(0),
  colours: (places) => places.map(colour),
  async decode(base64, places) {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
    const image = await createImageBitmap(new Blob([bytes], { type: 'image/jpeg' }))
    const { width, height } = image
    draw(image, width, height)
    return { width, height, number: read(0), colours: places.map(colour) }
  },
}
