import { useEffect, useRef } from 'preact/hooks'
import UPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { language } from './text.ts'

export interface ChartProps {
  /** What it shows now, in words, for who cannot see it. */
  readonly label: string
  /** Milliseconds since the epoch, ascending. */
  readonly times: readonly number[]
  /** A line each; null where nothing is known. */
  readonly lines: ReadonlyArray<readonly (number | null)[]>
  /** The largest value there can be; without it the scale follows what is shown. */
  readonly most?: number
  /** Milliseconds that the chart spans, up to the last time. */
  readonly spanMs: number
  format(value: number): string
}

const height = 140
const colours = ['--accent-text', '--warn']
/** A custom property holds `light-dark()` as it was written; a canvas wants the colour. */
function colour(name: string, on: HTMLElement): string {
  on.style.color = `var(${name})`
  const { color } = getComputedStyle(on)
  on.style.color = ''
  return color
}

/** Lines over the last minutes. */
export function Chart({ label, times, lines, most, spanMs, format }: ChartProps) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<UPlot | undefined>(undefined)
  useEffect(() => {
    const element = place.current as HTMLDivElement
    const paint = (name: string) => () => colour(name, element)
    const axis = { stroke: paint('--soft'), grid: { stroke: paint('--line'), width: 1 }, ticks: { show: false } }
    const made = new UPlot(
      {
        width: element.clientWidth,
        height,
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { time: true, range: (_plot, _min, max) => [max - spanMs / 1000, max] },
          y: { range: (_plot, _min, max) => [0, most ?? Math.max(max ?? 0, 1)] },
        },
        series: [
          {},
          ...lines.map((_line, at) => ({ stroke: paint(colours[at] ?? '--text'), width: 2, points: { show: false } })),
        ],
        axes: [
          { ...axis, size: 28, space: 70, values: (_plot, marks) => marks.map((mark) => clock(mark * 1000)) },
          { ...axis, size: 62, space: 34, values: (_plot, marks) => marks.map(format) },
        ],
      },
      [[], ...lines.map(() => [])],
      element,
    )
    plot.current = made
    const resize = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }))
    resize.observe(element)
    // The colours are asked for at each drawing.
    const dark = matchMedia('(prefers-color-scheme: dark)')
    const redraw = () => made.redraw()
    dark.addEventListener('change', redraw)
    return () => {
      dark.removeEventListener('change', redraw)
      resize.disconnect()
      made.destroy()
    }
  }, [])
  useEffect(() => plot.current?.setData([times.map((time) => time / 1000), ...lines.map((line) => [...line])]), [times, lines])
  return <div ref={place} class="chart" role="img" aria-label={label} />
}

const clock = (at: number) => new Intl.DateTimeFormat(language.value, { hour: '2-digit', minute: '2-digit' }).format(at)
