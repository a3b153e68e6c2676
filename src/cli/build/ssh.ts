import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { SshSource } from '../../builder/fetch/ssh-agents.ts'
import { isErrno } from '../../oci/errors.ts'
import { CliError } from '../errors.ts'
import { unreadable } from '../system-error.ts'
import type { Terminal } from '../terminal.ts'

/**
 * `default` or an id, alone for the agent of SSH_AUTH_SOCK, or with `=PATH[,PATH...]`: one socket, or files with keys.
 * @throws CliError `usage`
 */
export function parseSsh(
  given: readonly string[],
  { env, workingDirectory }: Pick<Terminal, 'env' | 'workingDirectory'>,
): ReadonlyMap<string, SshSource> {
  const sources = new Map<string, SshSource>()
  for (const text of given) {
    const [, id = '', list] = /^([^=]*)(?:=(.*))?$/s.exec(text) ?? []
    const wrong = (problem: string, hint?: string) =>
      new CliError(
        'usage',
        `build: --ssh ${JSON.stringify(text)}: ${problem}`,
        hint === undefined ? {} : { hint },
      )
    if (id === '') throw wrong('it has no id')
    if (sources.has(id)) throw wrong(`there is another ${id}`)
    const named = (list ?? '').split(',').filter(Boolean)
    const paths = named.length > 0 ? named : [env.SSH_AUTH_SOCK ?? '']
    if (paths[0] === '')
      throw wrong('SSH_AUTH_SOCK names no agent', `start one, or name a key: --ssh ${id}=~/.ssh/id_ed25519`)
    const files = paths.map(path => resolve(workingDirectory, path))
    const sockets = files.filter(path => isSocket(path, wrong))
    const [first = ''] = files
    if (sockets.length > 0 && files.length > 1) throw wrong('an agent stands alone')
    sources.set(id, sockets.length > 0 ? { kind: 'socket', path: first } : { kind: 'keys', paths: files })
  }
  return sources
}

function isSocket(path: string, wrong: (problem: string) => CliError): boolean {
  try {
    return statSync(path).isSocket()
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) throw wrong(`there is no ${path}`)
    throw unreadable(error, path)
  }
}
