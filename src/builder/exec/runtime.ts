import { randomUUID } from 'node:crypto'
import { mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { findProgram, isExecutable } from '../../linux/find-program.ts'
import { isJsonObject, parseJson } from '../../oci/json.ts'
import { BuildError } from '../errors.ts'
import { readIfThere } from '../snapshot/read-if-there.ts'

export interface RuntimeFinder {
  /** A directory that may hold the remembered choice. */
  readonly directory: string
  /** As the user named it: a name on the path, or a path. Undefined: the first of the known ones that works. */
  readonly runtime: string | undefined
  /** Directories to search, separated by `:`. */
  readonly path: string
  /** Runs a container to see what keeps the runtime from working on this machine; undefined when it works. */
  tryOut(runtime: string): Promise<string | undefined>
}

/** Fastest first. */
const KNOWN = ['crun', 'runc', 'youki']

const INSTALL_HINT = 'install one, for example: apt-get install runc'

/**
 * The absolute path of the OCI runtime to use. Which of several works is tried once per machine and remembered until
 * one of them changes.
 * @throws BuildError `runtime-missing`
 */
export async function findRuntime(finder: RuntimeFinder): Promise<string> {
  const { runtime, path, directory } = finder
  if (runtime !== undefined) {
    const found = runtime.includes('/') ? [runtime].find(isExecutable) : findProgram(runtime, path)
    if (found !== undefined) return found
    throw missing(`Cannot run containers: the runtime "${runtime}" is not there, or not executable`)
  }
  const candidates = installedRuntimes(path)
  if (candidates.length === 0)
    throw missing(`Cannot run containers: found no OCI runtime (${KNOWN.join(', ')})`)
  const fingerprint = candidates.map(fingerprintOf).join('\n')
  const remembered = readChoice(`${directory}/runtime.json`)
  if (remembered?.fingerprint === fingerprint && candidates.includes(remembered.runtime))
    return remembered.runtime
  const problems: string[] = []
  for (const candidate of candidates) {
    const problem = await finder.tryOut(candidate)
    if (problem !== undefined) {
      problems.push(`${candidate}: ${problem}`)
      continue
    }
    writeChoice(directory, { fingerprint, runtime: candidate })
    return candidate
  }
  throw missing(`Cannot run containers: no runtime works on this machine (${problems.join('; ')})`)
}

/** Absolute paths of the runtimes that are installed, in the order in which they are tried. */
export function installedRuntimes(path: string): readonly string[] {
  return KNOWN.flatMap(name => findProgram(name, path) ?? [])
}

interface Choice {
  readonly fingerprint: string
  readonly runtime: string
}

function fingerprintOf(path: string): string {
  const { mtimeMs, size } = statSync(path)
  return `${path} ${size} ${mtimeMs}`
}

function readChoice(file: string): Choice | undefined {
  const choice = parseJson(Buffer.from(readIfThere(file) ?? ''))
  return isChoice(choice) ? choice : undefined
}

function isChoice(value: unknown): value is Choice {
  return isJsonObject(value) && typeof value.fingerprint === 'string' && typeof value.runtime === 'string'
}

/** Two processes may do this at once: each writes a whole file, and the last stays. */
function writeChoice(directory: string, choice: Choice): void {
  mkdirSync(directory, { recursive: true, mode: 0o711 })
  const temporary = `${directory}/runtime.${randomUUID()}.json`
  writeFileSync(temporary, JSON.stringify(choice))
  renameSync(temporary, `${directory}/runtime.json`)
}

function missing(message: string): BuildError {
  return new BuildError('runtime-missing', message, { hint: INSTALL_HINT })
}
