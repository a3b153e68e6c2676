import { accessSync, constants, statSync } from 'node:fs'

/** Where systems keep what the PATH of many users lacks. */
const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin']

/** @param path directories separated by `:` @returns an absolute path */
export function findProgram(name: string, path: string): string | undefined {
  return [...path.split(':'), ...SYSTEM_DIRECTORIES]
    .filter(directory => directory.startsWith('/'))
    .map(directory => `${directory}/${name}`)
    .find(isExecutable)
}

const NOT_THERE: ReadonlySet<unknown> = new Set(['ENOENT', 'EACCES', 'ENOTDIR', 'ELOOP'])

/** A regular file that we may run. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch (error) {
    if (error instanceof Error && 'code' in error && NOT_THERE.has(error.code)) return false
    throw error
  }
}
