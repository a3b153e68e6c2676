import { resolve } from 'node:path'
import { graphSource } from '../../oci/graph.ts'
import { type Command, usage } from '../command.ts'
import { writeArchive, writeArchiveTo } from '../images/archives.ts'
import { descriptorOf, findImage, imageName } from '../images/stored-images.ts'
import { openSession } from '../session.ts'

const KINDS: Readonly<Record<string, 'docker-archive' | 'oci-archive'>> = {
  docker: 'docker-archive',
  oci: 'oci-archive',
}

export const command: Command = {
  name: 'save',
  summary: 'Write images to an archive',
  usage: '[OPTIONS] NAME...',
  details: 'The archive goes to standard output unless a file is named.',
  options: {
    output: { value: 'FILE', short: 'o', help: 'Write to a file' },
    format: { value: 'FORMAT', help: 'docker (the default: docker load, podman load) or oci' },
  },
  positionals: { min: 1 },
  async run(args, terminal) {
    const format = args.value('format') ?? 'docker'
    const kind = Object.hasOwn(KINDS, format) ? KINDS[format] : undefined
    if (kind === undefined) throw usage(command, `--format is docker or oci, not ${JSON.stringify(format)}`)
    const output = args.value('output')
    const toStdout = output === undefined || output === '-'
    if (toStdout && terminal.stdout.isTTY === true) {
      throw usage(
        command,
        'will not write an archive to a terminal: redirect standard output or give -o FILE',
      )
    }
    using session = await openSession(args, terminal)
    const images = args.positionals.map(name => {
      const image = findImage(session.store, name)
      return {
        descriptor: descriptorOf(image.manifest),
        names: image.tag === undefined ? [] : [imageName(image)],
      }
    })
    const what = { source: graphSource(session.store.content), images, signal: terminal.signal }
    if (toStdout) await writeArchiveTo(kind, terminal.stdout, what, session.hostPlatform)
    else await writeArchive(kind, resolve(terminal.workingDirectory, output), what, session.hostPlatform)
  },
}
