import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Trust } from '../../remote/trust.ts'

/** Files with the authorities that git is to believe, which are those that registries are believed by. */
export interface GitAuthorities extends AsyncDisposable {
  /** Undefined for a remote without TLS. There until this is disposed. */
  fileFor(remote: string): Promise<string | undefined>
}

/** @param trust without it git believes its own list */
export function createGitAuthorities(trust: Trust | undefined, temporaryDirectory: string): GitAuthorities {
  const files = new Map<string, Promise<string>>()
  const write = async (authorities: readonly string[]): Promise<string> => {
    mkdirSync(temporaryDirectory, { recursive: true, mode: 0o711 })
    const file = join(temporaryDirectory, `authorities-${randomUUID()}`)
    await writeFile(file, authorities.map(text => `${text.trimEnd()}\n`).join(''), { flag: 'wx' })
    return file
  }
  return {
    async fileFor(remote) {
      if (trust === undefined || !/^https:/i.test(remote)) return undefined
      const { host } = new URL(remote)
      const file = files.get(host) ?? trust.authoritiesFor(host).then(write)
      files.set(host, file)
      return await file
    },
    async [Symbol.asyncDispose]() {
      for (const written of await Promise.allSettled(files.values()))
        if (written.status === 'fulfilled') await rm(written.value, { force: true })
    },
  }
}
