import { useSignal } from '@preact/signals'
import type { TargetedSubmitEvent } from 'preact'
import { useId } from 'preact/hooks'
import { core, type Field, fieldOf, initial, type Schema, tidy, title, unitOf } from './fields.ts'
import { t } from './text.ts'

interface InputProps {
  readonly name: string
  readonly schema: Schema
  readonly isRequired: boolean
  readonly value: unknown
  change(value: unknown): void
}

/** A form made from a JSON Schema. What it sends is judged by the machine, by the very same schema. */
export function SchemaForm({
  name,
  schema,
  isBusy,
  submit,
}: {
  name: string
  schema: Schema | undefined
  isBusy: boolean
  submit: (payload: unknown) => void
}) {
  const value = useSignal<unknown>(schema && initial('', schema, true))
  const send = (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault()
    submit(tidy(value.value))
  }
  return (
    <form onSubmit={send} aria-label={title(name)}>
      {schema && <Input name="" schema={schema} isRequired value={value.value} change={(next) => (value.value = next)} />}
      <button type="submit" disabled={isBusy} aria-busy={isBusy}>
        {isBusy ? t('command.pending') : title(name)}
      </button>
    </form>
  )
}

function Input(props: InputProps) {
  const field = fieldOf(props.name, props.schema)
  return field.is === 'group' ? <Group {...props} fields={field.fields} /> : <Row {...props} field={field} />
}

function Group({
  name,
  schema,
  value,
  change,
  fields,
}: InputProps & { fields: ReadonlyArray<readonly [string, Schema, boolean]> }) {
  const all = (value ?? {}) as Record<string, unknown>
  const inputs = fields.map(([key, one, isRequired]) => (
    <Input
      key={key}
      name={key}
      schema={one}
      isRequired={isRequired}
      value={all[key]}
      change={(next) => change({ ...all, [key]: next })}
    />
  ))
  if (name === '') return <>{inputs}</>
  return (
    <fieldset>
      <legend>{title(name)}</legend>
      {schema.description && <p class="soft">{schema.description}</p>}
      {inputs}
    </fieldset>
  )
}

function Row(props: InputProps & { field: Exclude<Field, { is: 'group' }> }) {
  const { name, schema, isRequired, field } = props
  const id = useId()
  const description = core(schema).description
  const label = title(name || 'value')
  const unit = unitOf(name, core(schema))
  return (
    <div class={`input ${field.is}`}>
      <label for={id}>
        {label}
        {unit !== '' && unit !== 'moment' && <span class="soft"> ({unit})</span>}
        {!isRequired && <span class="soft"> {t('form.optional')}</span>}
      </label>
      <Control {...props} id={id} />
      {description && (
        <p class="soft" id={`${id}-help`}>
          {description}
        </p>
      )}
    </div>
  )
}

function Control({
  name,
  schema: given,
  isRequired,
  value,
  change,
  field,
  id,
}: InputProps & { field: Exclude<Field, { is: 'group' }>; id: string }) {
  const schema = core(given)
  const help = schema.description ? { 'aria-describedby': `${id}-help` } : {}
  const textOf = (typed: string) => (typed === '' && !isRequired ? undefined : typed)
  switch (field.is) {
    case 'switch':
      return (
        <input
          {...help}
          id={id}
          type="checkbox"
          checked={value === true}
          onChange={(event) => change(event.currentTarget.checked)}
        />
      )
    case 'choice':
      return (
        <select
          {...help}
          id={id}
          required={isRequired}
          onChange={({ currentTarget: { selectedIndex } }) =>
            change(field.values[isRequired ? selectedIndex : selectedIndex - 1])
          }
        >
          {!isRequired && <option selected={value === undefined}>–</option>}
          {field.values.map((one) => (
            <option key={String(one)} selected={one === value}>
              {String(one)}
            </option>
          ))}
        </select>
      )
    case 'number': {
      const limits = {
        min: schema.minimum,
        max: schema.maximum,
        step: schema.multipleOf ?? (field.isWhole ? 1 : 'any'),
        onInput: ({ currentTarget: { value: typed, valueAsNumber } }: { currentTarget: HTMLInputElement }) =>
          change(typed === '' ? undefined : valueAsNumber),
      } as const
      const number = (
        <input
          {...help}
          {...limits}
          id={id}
          type="number"
          required={isRequired}
          value={value === undefined ? '' : Number(value)}
        />
      )
      if (!field.isSlider) return number
      return (
        <span class="slider">
          <input {...limits} type="range" aria-label={title(name)} value={Number(value ?? schema.minimum)} />
          {number}
        </span>
      )
    }
    case 'text': {
      const common = {
        ...help,
        id,
        required: isRequired && (schema.minLength ?? 0) > 0,
        minLength: schema.minLength,
        maxLength: schema.maxLength,
        value: String(value ?? ''),
        autocomplete: field.isSecret ? 'new-password' : 'off',
        spellcheck: false,
      } as const
      if (field.isLong) return <textarea {...common} rows={4} onInput={(event) => change(textOf(event.currentTarget.value))} />
      return (
        <input
          {...common}
          pattern={patternOf(schema.pattern)}
          type={(field.isSecret ? 'password' : 'text') as 'text'}
          onInput={(event) => change(textOf(event.currentTarget.value))}
        />
      )
    }
    case 'json':
      return <JsonInput help={help} id={id} isRequired={isRequired} value={value} change={change} />
  }
}

/** What no other field fits is typed as JSON. */
function JsonInput({
  help,
  id,
  isRequired,
  value,
  change,
}: {
  help: object
  id: string
  isRequired: boolean
  value: unknown
  change: (value: unknown) => void
}) {
  const typed = useSignal(value === undefined ? '' : JSON.stringify(value))
  return (
    <textarea
      {...help}
      id={id}
      class="code"
      rows={3}
      required={isRequired}
      placeholder="JSON"
      value={typed.value}
      onInput={({ currentTarget }) => {
        typed.value = currentTarget.value
        try {
          change(currentTarget.value.trim() === '' ? undefined : JSON.parse(currentTarget.value))
          currentTarget.setCustomValidity('')
        } catch {
          currentTarget.setCustomValidity(t('form.notJson'))
        }
      }}
    />
  )
}

/** A schema's pattern may match anywhere, an input's is the whole; and one that this browser cannot read is the machine's to judge. */
function patternOf(pattern: string | undefined): string | undefined {
  if (pattern === undefined) return undefined
  try {
    const whole = `${pattern.startsWith('^') ? '' : '.*'}(?:${pattern.replace(/^\^|\$$/g, '')})${pattern.endsWith('$') ? '' : '.*'}`
    return new RegExp(whole, 'v') && whole
  } catch {
    return undefined
  }
}
