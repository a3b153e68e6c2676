import type { Command } from '../command.ts'
import { parseEnd } from '../images/ends.ts'
import { onePlatform, openImage, writeImage } from '../images/transfer.ts'
import { PLATFORM_OPTION, wantedPlatform } from '../images/wanted-platform.ts'
import { openRemote } from '../registries.ts'
import { openSession } from '../session.ts'

export const command: Command = {
  name: 'copy',
  summary: 'Copy an image between registries, the store and files',
  usage: '[OPTIONS] SOURCE TARGET',
  details: `SOURCE and TARGET are any of
  app:1.0                     an image of the store
  HOST/app:1.0                an image of a registry (docker://HOST/app:1.0 is the same)
  store:HOST/app:1.0          an image of the store whose name has a host
  oci:DIR[:TAG]               a directory in OCI layout
  oci-archive:FILE[:TAG]      the same as a tar
  docker-archive:FILE[:NAME]  an archive as 'docker save' writes it
All platforms are copied, and all digests stay, except into a docker-archive, which holds one platform.`,
  options: { platform: { ...PLATFORM_OPTION, help: 'Only this platform of the image' } },
  positionals: { min: 2, max: 2 },
  async run(args, terminal) {
    const [from = '', to = ''] = args.positionals
    const target = parseEnd(to)
    const source = parseEnd(from)
    using session = await openSession(args, terminal, { addsContent: true })
    using remote = openRemote(session, terminal)
    const deps = { session, remote, terminal }
    await using image = await openImage(source, deps)
    const one = args.value('platform') !== undefined || target.kind === 'docker-archive'
    const root = one ? await onePlatform(image, wantedPlatform(args, session.hostPlatform)) : image.root
    await writeImage({ ...image, root }, target, deps)
    terminal.stdout.write(`${to} ${root.digest}\n`)
  },
}
