import type { DocumentOptions, ScalarTag, SchemaOptions } from 'yaml';
import { PLAIN_FORMS } from './scalars.ts';

/** Most strings: one test instead of one for each form. A longer word than `false` that begins with a letter or a slash matches no other form. */
const LONG_WORD: ScalarTag = {
  tag: 'tag:yaml.org,2002:str',
  default: true,
  test: /^[A-Za-z/]\S{5}/,
  identify: () => false,
  resolve: (text) => text,
};

const TAGS = [LONG_WORD, ...PLAIN_FORMS.map(tagOf)];

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
