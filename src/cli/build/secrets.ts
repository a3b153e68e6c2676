import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseCsvRecord } from '../../builder/dockerfile/csv.ts'
import type { SecretSource } from '../../builder/secrets.ts'
import { CliError } from '../errors.ts'
import type { Terminal } from '../terminal.ts'
import { didYouMean } from '../text/did-you-mean.ts'

/**
 * `id=NAME[,src=FILE|,env=VARIABLE][,type=file|env]`; without a source the variable named as the secret, else the file.
 * A variable that is not set gives no secret.
 * @throws CliError `usage`, never with a value
 */
export function parseSecrets(
  given: readonly string[],
  { env, workingDirectory }: Pick<Terminal, 'env' | 'workingDirectory'>,
): ReadonlyMap<string, SecretSource> {
  const secrets = new Map<string, SecretSource>()
  for (const text of given) {
    const { id, src, env: variable, type } = readFields(text)
    if (id === undefined || id === '') throw wrong(text, 'it has no id')
    if (type !== undefined && type !== 'file' && type !== 'env') throw wrong(text, 'its type is file or env')
    const isVariable =
      type === 'env' ||
      (type === undefined && src === undefined && (variable !== undefined || env[id] !== undefined))
    if (!isVariable) {
      secrets.set(id, { kind: 'file', path: resolve(workingDirectory, src ?? id) })
      continue
    }
    const value = env[variable ?? src ?? id]
    if (value !== undefined) secrets.set(id, { kind: 'value', value })
  }
  return secrets
}

/** A typing error shows at once, although the files are read when a step needs them. @throws CliError `usage` */
export function requireSecretFiles(secrets: ReadonlyMap<string, SecretSource>): void {
  for (const [id, source] of secrets)
    if (source.kind === 'file' && statSync(source.path, { throwIfNoEntry: false }) === undefined)
      throw new CliError('usage', `build: --secret ${JSON.stringify(id)}: there is no file ${source.path}`)
}

const KEYS: Readonly<Record<string, 'id' | 'src' | 'env' | 'type'>> = {
  id: 'id',
  src: 'src',
  source: 'src',
  env: 'env',
  type: 'type',
}

function readFields(text: string): { id?: string; src?: string; env?: string; type?: string } {
  const found: { id?: string; src?: string; env?: string; type?: string } = {}
  const record = parseCsvRecord(text)
  if (record === undefined) throw wrong(text, 'its quotes are not those of a CSV line')
  for (const field of record) {
    const equals = field.indexOf('=')
    const key = field.slice(0, Math.max(0, equals)).toLowerCase()
    const property = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined
    if (property === undefined)
      throw wrong(
        text,
        `${JSON.stringify(field)} is none of id=, src=, env=, type=${didYouMean(key, Object.keys(KEYS))}`,
      )
    found[property] = field.slice(equals + 1)
  }
  return found
}

function wrong(text: string, problem: string): CliError {
  return new CliError('usage', `build: --secret ${JSON.stringify(text)}: ${problem}`)
}
