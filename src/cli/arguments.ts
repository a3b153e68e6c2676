/** What was typed after a command's name, checked against the command's options. */
export class Arguments {
  readonly positionals: readonly string[]
  readonly #values: ReadonlyMap<string, readonly string[]>

  constructor(positionals: readonly string[], values: ReadonlyMap<string, readonly string[]>) {
    this.positionals = positionals
    this.#values = values
  }

  /** True when a flag was given (and not as `--flag=false`). */
  flag(name: string): boolean {
    return this.#values.get(name)?.at(-1) === 'true'
  }

  /** The value given last; an empty one, as of a variable in a script that is not set, counts as none. */
  value(name: string): string | undefined {
    return this.#values.get(name)?.at(-1) || undefined
  }

  /** All values, in the order given. */
  values(name: string): readonly string[] {
    return this.#values.get(name) ?? []
  }
}
