const maxRows = 1000
const overflow = 'other'

/** A row of counters for each name of each module, made when first asked for; what is more than a bound shares one row. */
export class Rows<Row> {
  readonly #make: () => Row
  readonly #modules = new Map<string, Map<string, Row>>()
  #size = 0

  constructor(make: () => Row) {
    this.#make = make
  }

  of(module: string, name: string): Row {
    return this.#modules.get(module)?.get(name) ?? this.#add(module, name)
  }

  /** Every row with its labels. */
  list<Labels>(labelsOf: (module: string, name: string) => Labels): Array<[Labels, Row]> {
    return [...this.#modules].flatMap(([module, rows]) =>
      [...rows].map(([name, row]): [Labels, Row] => [labelsOf(module, name), row]),
    )
  }

  #add(module: string, name: string): Row {
    const isOverflow = module === overflow && name === overflow
    if (this.#size >= maxRows && !isOverflow) return this.of(overflow, overflow)
    const row = this.#make()
    const rows = this.#modules.get(module) ?? new Map<string, Row>()
    this.#modules.set(module, rows.set(name, row))
    this.#size++
    return row
  }
}
