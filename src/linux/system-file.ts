import { readFileSync } from 'node:fs'

/** EISDIR, ENODEV: what control groups of the other version, or without a controller, have in its place. */
const NOT_TOLD: ReadonlySet<unknown> = new Set(['ENOENT', 'EACCES', 'EISDIR', 'ENODEV'])

/** A file in which the machine tells something about itself; undefined where it does not, or does not tell us. */
export function readSystemFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && NOT_TOLD.has(error.code)) return undefined
    throw error
  }
}
