import { parseGoBoolean } from '../../builder/dockerfile/go-boolean.ts'
import type { Refuse } from '../command.ts'

/** @param option of whose `KEY=VALUE` fields it is one: `--output` @throws what `refuse` makes */
export function readBooleanField(
  option: string,
  fields: ReadonlyMap<string, string>,
  key: string,
  otherwise: boolean,
  refuse: Refuse,
): boolean {
  const given = fields.get(key)
  const read = given === undefined ? otherwise : parseGoBoolean(given)
  if (read !== undefined) return read
  throw refuse(`${option} ${key}= takes true or false, not ${JSON.stringify(given)}`)
}
