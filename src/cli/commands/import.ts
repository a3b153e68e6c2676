import { basename, resolve } from 'node:path'
import { LATEST, parseReference, repositoryOf } from '../../oci/reference.ts'
import { nameImage } from '../../store/images.ts'
import { type Command, usage } from '../command.ts'
import { decompressAny, readInput } from '../images/archives.ts'
import { PLATFORM_OPTION, wantedPlatform } from '../images/wanted-platform.ts'
import { openSession } from '../session.ts'

export const command: Command = {
  name: 'import',
  summary: 'Make an image from a root filesystem tar',
  usage: '[OPTIONS] FILE|- NAME[:TAG]',
  details: `The tar may be plain or compressed by gzip, xz, zstd or bzip2; - reads it from standard input. Its entries become
the image's one layer as they are.`,
  options: {
    change: {
      value: 'INSTRUCTION',
      short: 'c',
      repeated: true,
      help: 'Apply a Dockerfile instruction, such as \'CMD ["bash"]\'',
    },
    message: { value: 'TEXT', short: 'm', help: "The comment in the image's history" },
    platform: { ...PLATFORM_OPTION, help: 'Platform of the image (default: that of this machine)' },
  },
  positionals: { min: 2, max: 2 },
  async run(args, terminal) {
    const [file = '', name = ''] = args.positionals
    const reference = parseReference(name)
    if (reference.digest !== undefined) throw usage(command, `${name} has a digest, but a new name has a tag`)
    if (file === '-' && terminal.stdin.isTTY === true)
      throw usage(command, 'there is no tar on standard input')
    using session = await openSession(args, terminal, { addsContent: true })
    const { signal, now } = terminal
    const platform = wantedPlatform(args, session.hostPlatform)
    const { configOfChanges } = await import('../../builder/plan/changes.ts')
    const { importRootfs } = await import('../../store/archive/import.ts')
    const { descriptor } = await importRootfs({
      store: session.store,
      tar: file === '-' ? terminal.stdin : readInput(resolve(terminal.workingDirectory, file)),
      decompressWith: decompressAny,
      limits: session.settings.contentLimits,
      config: await configOfChanges(args.values('change'), platform, signal),
      platform,
      compression: 'gzip',
      comment: args.value('message') ?? `Imported from ${file === '-' ? file : basename(file)}`,
      now,
      signal,
    })
    const repository = repositoryOf(reference)
    const tag = reference.tag ?? LATEST
    await nameImage(session.store, repository, descriptor, [tag])
    terminal.stdout.write(`${repository}:${tag} ${descriptor.digest}\n`)
  },
}
