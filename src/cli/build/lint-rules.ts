/** What each of BuildKit's lint rules wants of a Dockerfile. */
const RULES: Readonly<Record<string, string>> = {
  ConsistentInstructionCasing: 'Keywords are all in upper case, or all in lower case',
  CopyIgnoredFile: 'COPY and ADD name no file that the ignore file leaves out',
  DuplicateStageName: 'No two stages have one name',
  ExposeInvalidFormat: 'EXPOSE names ports of the container alone',
  ExposeProtoCasing: 'Protocols of EXPOSE are in lower case',
  FromAsCasing: 'FROM and AS are written in the same case',
  FromPlatformFlagConstDisallowed: 'FROM --platform is not one fixed platform',
  InvalidBaseImagePlatform: 'A base image is for the platform of the build',
  InvalidDefaultArgInFrom: 'The defaults of ARGs make valid base image names',
  InvalidDefinitionDescription: 'The comment above a stage or an ARG begins with its name',
  JSONArgsRecommended: 'CMD and ENTRYPOINT have the JSON form, so that signals reach the program',
  LegacyKeyValueFormat: 'ENV and LABEL have an equals sign between name and value',
  MaintainerDeprecated: 'A label takes the place of MAINTAINER',
  MultipleInstructionsDisallowed: 'Of instructions that replace each other a stage has only one',
  NoEmptyContinuation: 'No empty line stands inside an instruction',
  RedundantTargetPlatform: 'FROM --platform does not repeat what holds without it',
  ReservedStageName: 'No stage has a name that means something else',
  SecretsUsedInArgOrEnv: 'Secrets are mounted, not kept in ARG or ENV',
  StageNameCasing: 'Names of stages are in lower case',
  UndefinedArgInFrom: 'FROM uses declared ARGs only',
  UndefinedVar: 'Variables are set before they are used',
  WorkdirRelativePath: 'The first WORKDIR of a stage is an absolute path',
}

export function describeRule(rule: string): string {
  return RULES[rule] ?? ''
}

/** Where BuildKit's documentation explains the rule: `JSONArgsRecommended` is at `json-args-recommended`. */
export function ruleURL(rule: string): string {
  const words = rule.match(/[A-Z]+(?![a-z])|[A-Z][a-z]*/g) ?? []
  return `https://docs.docker.com/go/dockerfile/rule/${words.join('-').toLowerCase()}/`
}
