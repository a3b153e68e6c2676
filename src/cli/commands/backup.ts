import { relative, resolve } from 'node:path'
import { AUTHORITY_FILE } from '../../registry/tls/authority.ts'
import type { Command } from '../command.ts'
import { openSession, type Session } from '../session.ts'
import { formatBytes } from '../text/format.ts'

export const command: Command = {
  name: 'backup',
  summary: 'Copy the store while it is in use',
  usage: '[OPTIONS] DIR',
  details: `DIR becomes a store with all images, tags and the build cache as they are at one moment, the users and tokens of the
registry, and the authority of 'serve --tls auto'. To restore, use it with --root. It is as secret as the store.
Where DIR holds an older backup, only what is new is copied. On one file system content is linked and takes no space;
against the loss of a disk, name a directory on another.`,
  options: {},
  positionals: { min: 1, max: 1 },
  async run(args, terminal) {
    using session = await openSession(args, terminal)
    const { backUpStore } = await import('../../store/backup.ts')
    const directory = resolve(terminal.workingDirectory, args.positionals[0] ?? '')
    const report = await backUpStore(session.store, directory, terminal.signal, filesOfServe(session))
    const { blobs, bytes, added, linked, removed, lost } = report
    terminal.stdout.write(
      `${directory}: ${blobs} blobs, ${formatBytes(bytes)}; ${added} new, ${linked} of them linked; ${removed} removed\n`,
    )
    if (lost.length > 0)
      terminal.stderr.write(
        `warning: ${lost.length} blobs are lost in the store itself; 'slipway verify' names the images that need them\n`,
      )
  },
}

/** What `serve` keeps below the root: without its users, a restored registry would be open to everyone. */
function filesOfServe({ settings, store }: Session): readonly string[] {
  const users = relative(store.root, settings.access.usersFile)
  return [AUTHORITY_FILE, ...(users.startsWith('..') ? [] : [users])]
}
