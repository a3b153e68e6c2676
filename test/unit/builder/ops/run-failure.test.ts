import assert from 'node:assert/strict'
import { it } from 'node:test'
import { scriptTitle } from '../../../../src/builder/ops/run-failure.ts'

it('scriptTitle() names a heredoc as the Dockerfile does', () => {
  const script = { kind: 'script', target: '/dev/pipes/EOF', content: '#!/bin/python3\nexit(1)\n' } as const
  assert.equal(scriptTitle({ mounts: [script] }), 'RUN <<EOF (#!/bin/python3...)')
  assert.equal(scriptTitle({ mounts: [] }), undefined)
})
