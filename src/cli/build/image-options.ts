/** What the image is: its names, labels and platform. */
import type { BuildOptions } from '../../builder/build-options.ts'
import { formatPlatform, type Platform, parsePlatform, platformOfHost } from '../../oci/platform.ts'
import { parseReference, repositoryOf } from '../../oci/reference.ts'
import type { Arguments } from '../arguments.ts'
import type { OptionSpecs, Refuse } from '../command.ts'
import type { Terminal } from '../terminal.ts'
import { parseLabels } from './inputs.ts'

export const IMAGE_OPTIONS: OptionSpecs = {
  tag: { value: 'NAME[:TAG]', short: 't', repeated: true, help: 'Name of the image' },
  label: { value: 'NAME=VALUE', repeated: true, help: 'Add a label to the image' },
  platform: {
    value: 'OS/ARCH[,OS/ARCH]',
    repeated: true,
    help: 'Platforms of the image; several make an index',
  },
}

export function readImageOptions(
  args: Arguments,
  terminal: Terminal,
  refuse: Refuse,
): Pick<BuildOptions, 'tags' | 'labels' | 'platforms'> {
  const tags = args.values('tag').map(parseReference)
  const pinned = tags.find(tag => tag.digest !== undefined)
  if (pinned !== undefined)
    throw refuse(`--tag ${repositoryOf(pinned)}@${pinned.digest}: the digest is the build's to find`)
  return {
    tags,
    labels: parseLabels(args.values('label')),
    platforms: readPlatforms(args.values('platform'), terminal),
  }
}

/** Each once, in the order given; without any, those of Docker's variable. */
function readPlatforms(given: readonly string[], terminal: Terminal): readonly Platform[] {
  const host = platformOfHost(terminal.platform, terminal.arch)
  const texts = (given.length > 0 ? given : [terminal.env.DOCKER_DEFAULT_PLATFORM ?? '']).flatMap(text =>
    text.split(',').map(word => word.trim()),
  )
  const platforms = texts
    .filter(text => text !== '')
    .map(text => (text === 'local' ? host : parsePlatform(text, host)))
  return [...new Map(platforms.map(platform => [formatPlatform(platform), platform])).values()]
}
