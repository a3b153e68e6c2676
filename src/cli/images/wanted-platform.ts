import { type Platform, parsePlatform } from '../../oci/platform.ts'
import type { Arguments } from '../arguments.ts'
import type { OptionSpec } from '../command.ts'

export const PLATFORM_OPTION: OptionSpec = {
  value: 'OS/ARCH',
  help: 'Which platform of the image (default: that of this machine)',
}

/** @throws OciError `platform-invalid` */
export function wantedPlatform(args: Arguments, host: Platform): Platform {
  const text = args.value('platform')
  return text === undefined ? host : parsePlatform(text, host)
}
