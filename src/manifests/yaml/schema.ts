import type { DocumentOptions, ScalarTag, SchemaOptions } from 'yaml';
import { PLAIN_FORMS } from './scalars.ts';

const TAGS = PLAIN_FORMS.map(tagOf);

/** How the `yaml` package reads and prints scalars. */
export const SCHEMA: SchemaOptions & DocumentOptions = {
  schema: 'failsafe',
  customTags: (tags) => [...tags, ...TAGS],
  resolveKnownTags: false,
  merge: false,
};

function tagOf({ tag, test, isFormOf, resolve }: (typeof PLAIN_FORMS)[number]): ScalarTag {
  return {
    tag: `tag:yaml.org,2002:${tag}`,
    default: true,
    test,
    identify: isFormOf,
    resolve,
    stringify: ({ value }) => JSON.stringify(value),
  };
}
