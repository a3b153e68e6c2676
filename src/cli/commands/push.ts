import { formatReference, parseReference } from '../../oci/reference.ts'
import type { Command } from '../command.ts'
import { CliError } from '../errors.ts'
import { onePlatform, openImage, writeImage } from '../images/transfer.ts'
import { PLATFORM_OPTION, wantedPlatform } from '../images/wanted-platform.ts'
import { openRemote } from '../registries.ts'
import { openSession } from '../session.ts'

export const command: Command = {
  name: 'push',
  summary: 'Send an image to a registry',
  usage: '[OPTIONS] HOST/NAME[:TAG]',
  details: `The name says where to: the image of that name in the store goes to the registry HOST. What the registry has is not
sent again. Images without a host in their name need no push: 'slipway serve' serves them.`,
  options: { platform: { ...PLATFORM_OPTION, help: 'Only this platform of the image' } },
  positionals: { min: 1, max: 1 },
  async run(args, terminal) {
    const [text = ''] = args.positionals
    const reference = parseReference(text)
    if (reference.registry === undefined) {
      throw new CliError('name-needs-host', `Cannot push ${text}: its name does not say to which registry`, {
        hint: `slipway copy ${text} HOST/${text}`,
      })
    }
    using session = await openSession(args, terminal)
    using remote = openRemote(session, terminal)
    const deps = { session, remote, terminal }
    await using image = await openImage({ kind: 'store', reference }, deps)
    const root =
      args.value('platform') === undefined
        ? image.root
        : await onePlatform(image, wantedPlatform(args, session.hostPlatform))
    await writeImage({ ...image, root }, { kind: 'registry', reference }, deps)
    terminal.stdout.write(`${formatReference(reference)} ${root.digest}\n`)
  },
}
