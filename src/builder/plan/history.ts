/** The texts of history, word for word as BuildKit writes them (semantics 25, 81). */
import type { Healthcheck } from '../../oci/config.ts'
import { maskCredentials } from '../fetch/git-reference.ts'
import type { CopySource } from '../ops/copy-spec.ts'
import { formatDuration, formatList, quoteList, quoteNumber } from './go-format.ts'
import type { TransferDefinition } from './op-definition.ts'
import type { StageDraft } from './stage-draft.ts'

export const HISTORY_COMMENT = 'buildkit.dockerfile.v0'
/** Of an entry that only stands for a layer. */
export const LAYER_COMMENT = 'buildkit.exporter.image.v0'

/** `RUN |2 A=x B=y /bin/sh -c make # buildkit` */
export function runText(draft: StageDraft, args: readonly string[]): string {
  const names = [...new Set(draft.args)]
  const values = names.map(name => `${name}=${draft.env.get(name) ?? ''}`)
  const count = names.length === 0 ? [] : [`|${names.length}`]
  return `RUN ${[...count, ...values, ...args].join(' ')} # buildkit`
}

/**
 * `COPY --chown=app a b /x/ # buildkit`: `--from` is not told. Nor are passwords of URLs, which BuildKit leaves there for
 * all who get the image.
 */
export function transferText(definition: TransferDefinition): string {
  const { kind, parents, sources, destination, chown, chmod } = definition
  const words = [
    kind.toUpperCase(),
    ...(parents ? ['--parents'] : []),
    ...(chown === undefined ? [] : [`--chown=${chown}`]),
    ...(chmod === undefined ? [] : [`--chmod=${chmod}`]),
    ...sources.map(sourceText),
    destination,
  ]
  return `${words.join(' ')} # buildkit`
}

function sourceText(source: CopySource): string {
  if (source.kind === 'heredoc') return `<<${source.name}`
  if (source.kind === 'git') return maskCredentials(source.text)
  return source.kind === 'url' ? maskCredentials(source.url) : source.path
}

export function pairsText(keyword: string, pairs: readonly (readonly [string, string])[]): string {
  return [keyword, ...pairs.map(([name, value]) => `${name}=${value}`)].join(' ')
}

export function commandText(keyword: 'CMD' | 'ENTRYPOINT', args: readonly string[]): string {
  return `${keyword} ${quoteList(args)}`
}

/** `EXPOSE [443/udp 80/tcp]`: in the order of the words, and again what is named again. */
export function listText(keyword: 'EXPOSE' | 'VOLUME' | 'SHELL', items: readonly string[]): string {
  return `${keyword} ${formatList(items)}`
}

export function healthcheckText(check: Healthcheck): string {
  const { Test = [], Interval = 0, Timeout = 0, StartPeriod = 0, StartInterval = 0, Retries = 0 } = check
  const times = [Interval, Timeout, StartPeriod, StartInterval].map(time => `"${formatDuration(time)}"`)
  return `HEALTHCHECK &{${[quoteList(Test), ...times, quoteNumber(Retries)].join(' ')}}`
}
