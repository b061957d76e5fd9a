import { asSchema, core, type Schema, title, unitOf } from './fields.ts'
import { formatBytes, formatDuration, formatNumber, formatTime, t } from './text.ts'

const most = { rows: 50, columns: 8, depth: 6, text: 2000 }
/** What lies deeper is folded: a table stays one. */
const openDepth = 2

/** A value of a module, read with the help of its schema. It may hold anything: what does not fit is shown as it is. */
export function Value({ name, value, schema, depth = 0 }: { name: string; value: unknown; schema: Schema; depth?: number }) {
  const shape = core(schema)
  if (value === null || value === undefined) return <span class="soft">{t('value.none')}</span>
  if (typeof value === 'boolean') return <span>{t(value ? 'value.yes' : 'value.no')}</span>
  if (typeof value === 'number') return <span class="figure">{figure(name, value, shape)}</span>
  if (typeof value === 'string') return <span class="text">{value.slice(0, most.text) || '–'}</span>
  if (depth >= most.depth) return <code>{JSON.stringify(value).slice(0, most.text)}</code>
  const count = Object.keys(value).length
  if (depth === openDepth && count > 0 && !(Array.isArray(value) && value.every(isSmall)))
    return (
      <details>
        <summary>{t('value.entries', { count })}</summary>
        <Value name={name} value={value} schema={schema} depth={depth + 1} />
      </details>
    )
  if (Array.isArray(value)) return <List name={name} values={value} items={asSchema(shape.items)} depth={depth} />
  const properties = shape.properties ?? {}
  return (
    <dl class="fields">
      {Object.entries(value).map(([key, one]) => (
        <div key={key} class={isSmall(one) ? 'field' : 'field wide'}>
          <dt title={properties[key]?.description}>{title(key)}</dt>
          <dd>
            <Value name={key} value={one} schema={asSchema(properties[key])} depth={depth + 1} />
          </dd>
        </div>
      ))}
    </dl>
  )
}

function List({ name, values, items, depth }: { name: string; values: readonly unknown[]; items: Schema; depth: number }) {
  if (values.length === 0) return <span class="soft">{t('value.empty')}</span>
  const shown = values.slice(0, most.rows)
  const more = values.length > shown.length && <p class="soft">{t('value.more', { count: values.length - shown.length })}</p>
  const columns = columnsOf(shown)
  if (columns.length > 0)
    return (
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable with the keyboard
      <div class="scroll" tabIndex={0}>
        <table>
          <thead>
            <tr>
              {columns.map((key) => (
                <th key={key} scope="col" title={items.properties?.[key]?.description}>
                  {title(key)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row, at) => (
              <tr key={at}>
                {columns.map((key) => (
                  <td key={key}>
                    <Value
                      name={key}
                      value={(row as Record<string, unknown>)[key]}
                      schema={asSchema(items.properties?.[key])}
                      depth={depth + 1}
                    />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
        {more}
      </div>
    )
  return (
    <>
      <ul class="plain">
        {shown.map((one, at) => (
          <li key={at}>
            <Value name={name} value={one} schema={items} depth={depth + 1} />
          </li>
        ))}
      </ul>
      {more}
    </>
  )
}

/** A list of objects is a table of what its first rows hold. */
function columnsOf(rows: readonly unknown[]): string[] {
  if (!rows.every((row) => typeof row === 'object' && row !== null && !Array.isArray(row))) return []
  return [...new Set(rows.slice(0, 5).flatMap((row) => Object.keys(row as object)))].slice(0, most.columns)
}

const isSmall = (value: unknown) => typeof value !== 'object' || value === null

function figure(name: string, value: number, schema: Schema): string {
  switch (unitOf(name, schema)) {
    case 'bytes':
      return formatBytes(value)
    case 'bytes per second':
      return `${formatBytes(value)}/s`
    case 'seconds':
      return formatDuration(value)
    case 'milliseconds':
      return `${formatNumber(value)} ms`
    case 'moment':
      return formatTime(value)
    case '':
      return formatNumber(value, 2)
    default:
      return `${formatNumber(value)} ${unitOf(name, schema)}`
  }
}
