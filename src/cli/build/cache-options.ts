/** What is taken from the cache, and what is told of it. */
import type { BuildOptions } from '../../builder/build.ts'
import type { Arguments } from '../arguments.ts'
import type { OptionSpecs } from '../command.ts'

export const CACHE_OPTIONS: OptionSpecs = {
  'no-cache': { help: 'Run every step, although its result is in the cache' },
  'no-cache-filter': {
    value: 'STAGE[,STAGE]',
    repeated: true,
    help: 'Run every step of these stages, although its result is in the cache',
  },
  explain: { help: 'Tell of every step that ran why it was not cached' },
  pull: { help: 'Ask registries for newer base images' },
}

export function readCacheOptions(args: Arguments): Pick<BuildOptions, 'noCache' | 'noCacheStages' | 'pull'> {
  return {
    noCache: args.flag('no-cache'),
    noCacheStages: args.values('no-cache-filter').flatMap(list => list.split(',').filter(Boolean)),
    pull: args.flag('pull'),
  }
}
