/** What is taken from the cache, and what is told of it. */
import type { BuildOptions } from '../../builder/build-options.ts'
import type { Arguments } from '../arguments.ts'
import type { OptionSpecs, Refuse } from '../command.ts'
import type { Terminal } from '../terminal.ts'
import { parseCacheSources, parseCacheTargets } from './cache-ends.ts'

export const CACHE_OPTIONS: OptionSpecs = {
  'no-cache': { help: 'Run every step, although its result is in the cache' },
  'no-cache-filter': {
    value: 'STAGE[,STAGE]',
    repeated: true,
    help: 'Run every step of these stages, although its result is in the cache',
  },
  'cache-from': {
    value: 'CACHE',
    repeated: true,
    help: 'Look for results of steps where another machine has left them (see above)',
  },
  'cache-to': {
    value: 'CACHE',
    repeated: true,
    help: 'Leave the results of steps for other machines (see above)',
  },
  explain: { help: 'Tell of every step that ran why it was not cached' },
  pull: { help: 'Ask registries for newer base images' },
}

export function readCacheOptions(
  args: Arguments,
  terminal: Terminal,
  refuse: Refuse,
): Pick<BuildOptions, 'noCache' | 'noCacheStages' | 'pull' | 'cacheFrom' | 'cacheTo'> {
  return {
    noCache: args.flag('no-cache'),
    noCacheStages: args.values('no-cache-filter').flatMap(list => list.split(',').filter(Boolean)),
    cacheFrom: parseCacheSources(args.values('cache-from'), terminal, refuse),
    cacheTo: parseCacheTargets(args.values('cache-to'), terminal, refuse),
    pull: args.flag('pull'),
  }
}
