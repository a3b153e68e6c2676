import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { kill } from 'node:process'
import { setTimeout } from 'node:timers/promises'
import { isErrno } from '../../oci/errors.ts'

const PAUSE_MS = 5

/**
 * Kills every process that descends from one that adopts the orphans among them, until there is none. Those that are
 * made meanwhile are found with the next look: each look first stops what it finds.
 */
export function endDescendants(ancestor: number): Promise<void> {
  return endAll(() => descendantsOf(ancestor))
}

/**
 * The same for every process whose root directory is this one, or below it: all that is known of a step once nobody
 * adopts its orphans.
 * @param root absolute path without symlinks
 */
export function endProcessesIn(root: string): Promise<void> {
  return endAll(() => processesIn(root))
}

async function endAll(find: () => readonly number[]): Promise<void> {
  for (;;) {
    const found = find()
    if (found.length === 0) return
    for (const signal of ['SIGSTOP', 'SIGKILL'] as const) for (const id of found) send(id, signal)
    await setTimeout(PAUSE_MS)
  }
}

/** Without those that have ended and only wait for somebody to ask how. */
function descendantsOf(ancestor: number): readonly number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    const id = Number(name)
    const stat = Number.isInteger(id) ? readStat(id) : undefined
    // Who has ended has no children any more.
    if (stat === undefined || stat.state === 'Z' || stat.state === 'X') continue
    const siblings = children.get(stat.parent)
    if (siblings === undefined) children.set(stat.parent, [id])
    else siblings.push(id)
  }
  const found: number[] = []
  const pending = [ancestor]
  for (let id = pending.pop(); id !== undefined; id = pending.pop())
    for (const child of children.get(id) ?? []) {
      found.push(child)
      pending.push(child)
    }
  return found
}

function processesIn(root: string): readonly number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter(id => Number.isInteger(id) && `${rootOf(id)}/`.startsWith(`${root}/`))
}

/** Undefined for who has ended, and for who is not ours to look into. */
function rootOf(id: number): string | undefined {
  try {
    return readlinkSync(`/proc/${id}/root`)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return undefined
    throw error
  }
}

function readStat(id: number): { readonly parent: number; readonly state: string } | undefined {
  try {
    const text = readFileSync(`/proc/${id}/stat`, 'latin1')
    // The name in parentheses is the process's own choice, and may hold more of them.
    const [state = '', parent] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { parent: Number(parent), state }
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return undefined
    throw error
  }
}

function send(id: number, signal: 'SIGSTOP' | 'SIGKILL'): void {
  try {
    kill(id, signal)
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error
  }
}
