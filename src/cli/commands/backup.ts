import { resolve } from 'node:path'
import type { Command } from '../command.ts'
import { formatBytes } from '../format.ts'
import { openSession } from '../session.ts'

export const command: Command = {
  name: 'backup',
  summary: 'Copy the store while it is in use',
  usage: '[OPTIONS] DIR',
  details: `DIR becomes a store with all images, tags and the build cache as they are at one moment; to restore is to use it with
--root. Where DIR holds an older backup, only what is new is copied. On one file system content is linked and takes no
space; against the loss of a disk, name a directory on another.`,
  options: {},
  positionals: { min: 1, max: 1 },
  async run(args, terminal) {
    using session = await openSession(args, terminal)
    const { backUpStore } = await import('../../store/backup.ts')
    const directory = resolve(terminal.workingDirectory, args.positionals[0] ?? '')
    const report = await backUpStore(session.store, directory, terminal.signal)
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
