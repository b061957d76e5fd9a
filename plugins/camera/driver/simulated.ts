import { atOnce, type Camera, heights, resolutions } from './source.ts'

/** Cells in a row of the strip; the first one is the most significant bit. */
const BITS = 16
/** A row is this part of the height, a cell a sixteenth of the width. */
const ROW = 16

/**
 * A test pattern in motion, with the word SIMULATED in it. Above it are two rows of 16 cells, white for 1 and black for 0: the number of the picture, and the time at
 * which it was made in milliseconds since the epoch, both modulo 65,536.
 */
export function simulatedCamera(): Camera {
  return {
    id: 'simulated',
    name: 'Simulated camera (a test pattern)',
    kind: 'simulated',
    resolutions,
    input: async ({ resolution, target }) => {
      const height = heights[resolution]
      const size = `${Math.round((height * 16) / 9 / 2) * 2}x${height}`
      const pattern = `testsrc2=size=${size}:rate=${target.frameRate},realtime,settb=1/1000`
      return {
        args: ['-use_wallclock_as_timestamps', '1', ...atOnce, '-probesize', '32', '-f', 'lavfi', '-i', pattern],
        filter: [
          `drawbox=x=0:y=0:w=iw:h=ih*2/${ROW}:color=black:t=fill`,
          ...row(0, 'n'),
          ...row(1, 'floor(t*1000+0.5)'),
          ...word(),
        ].join(','),
      }
    },
  }
}

/** SIMULATED, drawn: not every machine has fonts. Three cells for a letter and one between two. */
const LETTERS = [
  '### ### # # # # #    #  ### ### ## ',
  '#    #  ### # # #   # #  #  #   # #',
  '###  #  ### # # #   ###  #  ##  # #',
  '  #  #  # # # # #   # #  #  #   # #',
  '### ### # # ### ### # #  #  ### ## ',
]

/** A box for each stretch of a letter's line; as wide as half the picture. */
function word(): string[] {
  const cell = 'iw/70'
  const ground = `drawbox=x=iw/4-${cell}:y=ih*3/4-${cell}:w=iw/2+2*${cell}:h=7*${cell}:color=black:t=fill`
  const letters = LETTERS.flatMap((line, index) =>
    [...line.matchAll(/#+/g)].map(
      ({ 0: stretch, index: at }) =>
        `drawbox=x=iw/4+${at}*${cell}:y=ih*3/4+${index}*${cell}:w=${stretch.length}*${cell}:h=${cell}:color=white:t=fill`,
    ),
  )
  return [ground, ...letters]
}

function row(index: number, number: string): string[] {
  return Array.from({ length: BITS }, (_, bit) => {
    const isSet = `mod(floor(${number}/${2 ** (BITS - 1 - bit)}),2)`
    return `drawbox=x=iw*${bit}/${BITS}:y=ih*${index}/${ROW}:w=iw/${BITS}:h=ih/${ROW}:color=white:t=fill:enable='${isSet}'`
  })
}
