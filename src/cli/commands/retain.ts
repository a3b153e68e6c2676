import type { Reason } from '../../registry/policy/retention.ts'
import type { RepositoryRetention, RetentionReport } from '../../registry/policy/run-retention.ts'
import type { Command } from '../command.ts'
import { FORMAT_OPTION, wantsJson } from '../format-option.ts'
import { openSession } from '../session.ts'
import { formatBytes } from '../text/format.ts'

export const command: Command = {
  name: 'retain',
  summary: 'Delete tags that the retention rules do not keep',
  usage: '[OPTIONS]',
  details: `The rules are the [[retention]] tables of the configuration; a repository that none of them matches is left alone.
What a kept image needs is kept with it: platforms, signatures, attestations. 'slipway gc' then frees the bytes.
'slipway serve' does the same by itself.`,
  options: {
    'dry-run': { help: 'Show what would go, what would stay and why, and delete nothing' },
    format: FORMAT_OPTION,
  },
  positionals: { min: 0, max: 0 },
  async run(args, terminal) {
    const json = wantsJson(command, args)
    const dryRun = args.flag('dry-run')
    using session = await openSession(args, terminal)
    const { policy } = session.settings
    const { runRetention } = await import('../../registry/policy/run-retention.ts')
    const repositories: RepositoryRetention[] = []
    const report = await runRetention(session.store, {
      rules: policy.retention.rules,
      isImmutable: policy.rules.isImmutable,
      dryRun,
      now: terminal.now,
      signal: terminal.signal,
      onRepository(done) {
        if (json) repositories.push(done)
        else terminal.stdout.write(formatRepository(done, dryRun))
      },
    })
    terminal.stdout.write(
      json
        ? `${JSON.stringify({ dryRun, ...report, repositories }, null, 2)}\n`
        : formatReport(report, dryRun),
    )
    if (policy.retention.rules.length === 0)
      terminal.stderr.write('there are no [[retention]] rules in the configuration\n')
  },
}

/** A line for each tag in a preview; of what was done, a line for each that went. */
function formatRepository(
  { repository, kept, removed, untagged }: RepositoryRetention,
  dryRun: boolean,
): string {
  const gone = dryRun ? 'remove ' : 'removed'
  const lines = [
    ...(dryRun ? kept.map(({ tag, reason }) => `keep    ${repository}:${tag}  ${formatReason(reason)}`) : []),
    ...removed.map(({ tag }) => `${gone} ${repository}:${tag}`),
    ...untagged.map(digest => `${gone} ${repository}@${digest}  without a tag`),
  ]
  return lines.map(line => `${line}\n`).join('')
}

function formatReason(reason: Reason): string {
  switch (reason.kind) {
    case 'newest':
      return 'among the newest'
    case 'pushed':
      return 'pushed lately'
    case 'pulled':
      return 'pulled lately'
    case 'immutable':
      return 'immutable'
    case 'pattern':
      return `matches ${reason.pattern}`
    case 'belongs':
      return `belongs to ${reason.to.slice(0, 19)}`
    case 'early':
      return 'waits for its image'
  }
}

function formatReport({ repositories, tags, untagged, bytes }: RetentionReport, dryRun: boolean): string {
  const what = `${count(tags, 'tag')} and ${count(untagged, 'manifest')} without a tag, of ${count(repositories, 'repository', 'repositories')}`
  return dryRun
    ? `would remove ${what}; 'slipway gc' would then free ${formatBytes(bytes ?? 0)}\n`
    : `removed ${what}; 'slipway gc' frees the bytes\n`
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`
}
