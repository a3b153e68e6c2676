/** What the image is: its names, labels and platform. */
import type { BuildOptions } from '../../builder/build.ts'
import { parsePlatform, platformOfHost } from '../../oci/platform.ts'
import { parseReference, repositoryOf } from '../../oci/reference.ts'
import type { Arguments } from '../arguments.ts'
import { parseLabels } from '../build-inputs.ts'
import type { OptionSpecs, Refuse } from '../command.ts'
import type { Terminal } from '../terminal.ts'

export const IMAGE_OPTIONS: OptionSpecs = {
  tag: { value: 'NAME[:TAG]', short: 't', repeated: true, help: 'Name of the image' },
  label: { value: 'NAME=VALUE', repeated: true, help: 'Add a label to the image' },
  platform: { value: 'OS/ARCH', help: 'Platform of the image (default: that of this machine)' },
}

export function readImageOptions(
  args: Arguments,
  terminal: Terminal,
  refuse: Refuse,
): Pick<BuildOptions, 'tags' | 'labels' | 'platform'> {
  const tags = args.values('tag').map(parseReference)
  const pinned = tags.find(tag => tag.digest !== undefined)
  if (pinned !== undefined)
    throw refuse(`--tag ${repositoryOf(pinned)}@${pinned.digest}: the digest is the build's to find`)
  const platform = args.value('platform')
  return {
    tags,
    labels: parseLabels(args.values('label')),
    ...(platform !== undefined && {
      platform: parsePlatform(platform, platformOfHost(terminal.platform, terminal.arch)),
    }),
  }
}
