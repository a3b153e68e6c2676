import { LATEST, parseReference, repositoryOf } from '../../oci/reference.ts'
import { nameImage } from '../../store/images.ts'
import { type Command, usage } from '../command.ts'
import { FORMAT_OPTION, wantsJson } from '../format-option.ts'
import { descriptorOf, findImage } from '../images/stored-images.ts'
import { openSession } from '../session.ts'

export const command: Command = {
  name: 'tag',
  summary: 'Give an image another name',
  usage: '[OPTIONS] IMAGE NAME[:TAG]',
  options: { format: FORMAT_OPTION },
  positionals: { min: 2, max: 2 },
  async run(args, terminal) {
    const json = wantsJson(command, args)
    const [from = '', to = ''] = args.positionals
    const target = parseReference(to)
    if (target.digest !== undefined) throw usage(command, `${to} has a digest, but a new name has a tag`)
    using session = await openSession(args, terminal)
    const { manifest } = findImage(session.store, from)
    const repository = repositoryOf(target)
    const tag = target.tag ?? LATEST
    await nameImage(session.store, repository, descriptorOf(manifest), [tag])
    if (json)
      terminal.stdout.write(`${JSON.stringify({ repository, tag, digest: manifest.digest }, null, 2)}\n`)
  },
}
