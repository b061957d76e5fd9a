import { definePlugin } from 'patchbay/plugin'
import { audio } from './contract.ts'
import { AudioFailure } from './driver/failure.ts'
import { follow } from './driver/follow.ts'
import { inSession } from './driver/pactl.ts'
import { createSound } from './driver/sound.ts'
import { findings } from './findings.ts'

export default definePlugin(audio, {
  async start(ctx) {
    const exec = ctx.settings.simulated ? new (await import('./driver/simulated.ts')).SimulatedSound() : inSession(ctx.exec)
    const sound = createSound(exec)
    /** The failure of a driver is the answer of the command. */
    const coded = async <T>(work: Promise<T>): Promise<T> => {
      try {
        return await work
      } catch (error) {
        if (!(error instanceof AudioFailure)) throw error
        ctx.log.warn({ code: error.code, cause: error.cause }, error.message)
        throw ctx.error(error.code, error.message)
      }
    }
    ctx.handle('audio:set_volume', ({ level, output }) => coded(sound.setVolume(level, output)))
    ctx.handle('audio:set_output', ({ device }) => coded(sound.setOutput(device)))
    ctx.handle('audio:toggle_mute', () => coded(sound.toggleMute()))
    ctx.handle('audio:test_sound', () => coded(sound.testSound(ctx.signal)))
    ctx.handle('audio:set_microphone_volume', ({ level }) => coded(sound.setMicrophoneVolume(level)))
    ctx.handle('audio:toggle_microphone_mute', () => coded(sound.toggleMicrophoneMute()))
    ctx.diagnose(async () => findings(await sound.problem()))

    let failure: AudioFailure | undefined
    ctx.whileSubscribed((watch) => {
      failure = undefined
      const following = follow(exec, watch.signal, {
        onState(state) {
          failure = undefined
          watch.publish('audio:state', state)
        },
        onFailure(why) {
          failure = why
          watch.forget('audio:state')
          ctx.log.warn({ code: why.code, cause: why.cause }, why.message)
          ctx.publishError(why.code, why.message)
        },
      })
      return () => following
    })
    // Who comes while nothing is known hears why.
    ctx.onSubscribe(() => {
      if (failure) ctx.publishError(failure.code, failure.message)
    })
  },
})
