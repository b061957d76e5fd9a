import { access, constants, readdir } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { AudioFailure } from './failure.ts'

/** Nobody answers at the socket of the session. */
export function absentServer(cause: string): AudioFailure {
  const name = userName()
  const sentence =
    `No sound server answers in the session of the user ${name}: PipeWire must be installed there, ` +
    `and lingering on, so that it also runs while nobody is logged in.`
  const mend = `sudo apt-get install pipewire-pulse wireplumber && sudo loginctl enable-linger ${name}`
  return new AudioFailure('AUDIO_NO_SERVER', sentence, { cause, mend })
}

export function deniedServer(cause: string): AudioFailure {
  const sentence = `The sound server belongs to another user and refuses the user ${userName()}: run Patchbay as the user whose sound it is.`
  return new AudioFailure('AUDIO_PERMISSION', sentence, { cause, mend: 'patchbay doctor' })
}

/** Why the server has none but its dummy. */
export async function absentOutput(directory = '/dev/snd'): Promise<AudioFailure> {
  const entries = await readdir(directory).catch(() => [])
  const cards = entries.filter((entry) => /^pcm.*p$/.test(entry)).map((entry) => `${directory}/${entry}`)
  const none = 'There is no sound output'
  if (cards.length === 0)
    return new AudioFailure(
      'AUDIO_NO_OUTPUT',
      `${none}: this machine has no sound card. Plug one in, or connect Bluetooth speakers.`,
    )
  const open = await Promise.allSettled(cards.map((card) => access(card, constants.R_OK | constants.W_OK)))
  const name = userName()
  if (open.every(({ status }) => status === 'rejected')) {
    const sentence = `${none}: the user ${name} may not use the sound cards. They belong to the group audio.`
    return new AudioFailure('AUDIO_NO_OUTPUT', sentence, { mend: `sudo usermod -aG audio ${name}` })
  }
  return new AudioFailure('AUDIO_NO_OUTPUT', `${none}: the sound server uses none of the sound cards.`, {
    mend: `sudo usermod -aG audio ${name} && sudo systemctl restart user@$(id -u ${name}).service`,
  })
}

/** In whose session sound lives: that of this process, but for the service, which has a user for it (scripts/service). */
function userName(): string {
  if (process.env.XDG_RUNTIME_DIR === '/run/patchbay-sound') return 'patchbay-sound'
  try {
    return userInfo().username
  } catch {
    return `number ${process.getuid?.() ?? 0}` // there is no entry for it
  }
}
