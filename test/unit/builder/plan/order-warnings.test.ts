import assert from 'node:assert/strict'
import { it } from 'node:test'
import { distinctWarnings } from '../../../../src/builder/plan/plan-platforms.ts'
import { planText } from './planning.ts'

it('finds warnings in the order of BuildKit', async () => {
  const text = `FROM scratch as a
MAINTAINER x
env k $UNDEF
workdir foo
EXPOSE 80/TCP
CMD echo \\

 hi
CMD echo 2
from --platform=linux/amd64 scratch AS B
ENV PASSWORD=x
FROM scratch as scratch
FROM --platform=$TARGETPLATFORM a as a
MAINTAINER y
LABEL $QQ w`
  const plan = await planText(text, { everyStage: true })
  assert.deepEqual(
    distinctWarnings([plan]).map(({ rule, span }) => `${span?.startLine} ${rule}`),
    [
      '8 NoEmptyContinuation',
      '1 FromAsCasing',
      '2 MaintainerDeprecated',
      '10 StageNameCasing',
      '10 FromAsCasing',
      '12 FromAsCasing',
      '13 FromAsCasing',
      '14 MaintainerDeprecated',
      '12 ReservedStageName',
      '13 DuplicateStageName',
      '3 ConsistentInstructionCasing',
      '4 ConsistentInstructionCasing',
      '10 ConsistentInstructionCasing',
      '10 FromPlatformFlagConstDisallowed',
      '13 RedundantTargetPlatform',
      '3 UndefinedVar',
      '3 LegacyKeyValueFormat',
      '4 WorkdirRelativePath',
      '5 ExposeProtoCasing',
      '6 JSONArgsRecommended',
      '6 MultipleInstructionsDisallowed',
      '9 JSONArgsRecommended',
      '11 SecretsUsedInArgOrEnv',
      '15 UndefinedVar',
      '15 LegacyKeyValueFormat',
    ],
  )
})
