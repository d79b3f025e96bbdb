// What both fixtures serve, as plain data: the names and contents are those that @modelcontextprotocol/conformance asks
// for. How a tool behaves that talks to its client while it runs is the fixture's own.

// One red pixel; eight samples of silence.
export const kPng = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC';
export const kWav = 'UklGRiwAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQgAAACAgICAgICAgA==';

export const text = (value) => ({ type: 'text', text: value });
const image = { type: 'image', data: kPng, mimeType: 'image/png' };
const embedded = (uri, mimeType, value) => ({ type: 'resource', resource: { uri, mimeType, text: value } });
export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

const object = (properties = {}, required = Object.keys(properties)) => ({ type: 'object', properties, required });
const string = (description) => ({ type: 'string', description });
const tool = (name, description, inputSchema = { type: 'object', properties: {} }) => ({ name, description, inputSchema });

// Tools that always answer the same.
const kFixedResults = {
  test_simple_text: { content: [text('This is a simple text response for testing.')] },
  test_image_content: { content: [image] },
  test_audio_content: { content: [{ type: 'audio', data: kWav, mimeType: 'audio/wav' }] },
  test_embedded_resource: {
    content: [embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')],
  },
  test_multiple_content_types: {
    content: [
      text('Multiple content types test:'),
      image,
      embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
    ],
  },
  test_error_handling: { isError: true, content: [text('This tool intentionally returns an error for testing')] },
  json_schema_2020_12_tool: { content: [text('valid')] },
};
export const fixedResult = (name) => (Object.hasOwn(kFixedResults, name) ? kFixedResults[name] : undefined);

// Tools of both eras. The first one takes no arguments: the suite calls it to look at headers.
export const kTools = [
  tool('test_simple_text', 'Answers one text'),
  tool('test_image_content', 'Answers one PNG'),
  tool('test_audio_content', 'Answers one WAV'),
  tool('test_embedded_resource', 'Answers one embedded resource'),
  tool('test_multiple_content_types', 'Answers a text, an image and a resource'),
  tool('test_error_handling', 'Always fails'),
  tool('test_tool_with_logging', 'Logs three lines while it runs'),
  tool('test_tool_with_progress', 'Reports progress three times while it runs'),
  tool('json_schema_2020_12_tool', 'A schema with words of JSON Schema 2020-12', {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    $defs: {
      address: {
        $anchor: 'addressDef',
        type: 'object',
        properties: { street: { type: 'string' }, city: { type: 'string' } },
      },
    },
    properties: {
      name: { type: 'string' },
      address: { $ref: '#/$defs/address' },
      contactMethod: { type: 'string', enum: ['phone', 'email'] },
      phone: { type: 'string' },
      email: { type: 'string' },
    },
    allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
    if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
    then: { required: ['phone'] },
    else: { required: ['email'] },
    additionalProperties: false,
  }),
  tool('test_missing_capability', 'Needs a client that can sample'),
  tool('test_streaming_elicitation', 'Reports progress, then asks the user'),
  tool('test_progress_around_input', "Reports progress, asks for the user's name, and reports more"),
  tool('test_logging_tool', 'Logs while it runs'),
  tool('test_trigger_tool_change', 'Adds or removes a tool'),
  tool('test_trigger_prompt_change', 'Adds or removes a prompt'),
  tool('test_trigger_resource_update', 'Says that test://watched-resource has changed'),
  tool('test_input_required_result_elicitation', "Asks for the user's name and greets"),
  tool('test_input_required_result_sampling', 'Asks the model for a capital'),
  tool('test_input_required_result_list_roots', 'Asks for the roots of the client'),
  tool('test_input_required_result_request_state', 'Asks for a confirmation and keeps a state'),
  tool('test_input_required_result_multiple_inputs', 'Asks the user, the model and for the roots at once'),
  tool('test_input_required_result_multi_round', 'Asks twice, one after the other'),
  tool('test_input_required_result_tampered_state', 'Asks with a state that is not to be changed'),
  tool('test_input_required_result_capabilities', 'Asks only what the client says it can answer'),
];

// Only of 2025-11-25 and before: the server sends requests while the tool runs.
export const kLegacyTools = [
  tool('test_sampling', 'Asks the model of the client', object({ prompt: string('the prompt') })),
  tool('test_elicitation', 'Asks the user for a name and an address', object({ message: string('what to ask') })),
  tool('test_elicitation_sep1034_defaults', 'Asks with defaults of every primitive type'),
  tool('test_elicitation_sep1330_enums', 'Asks with every kind of enum'),
  tool('test_reconnection', 'Answers after a while: long enough to close and resume its stream'),
];

// Only of 2026-07-28: arguments that travel in headers too.
export const kModernTools = [
  tool('test_header_arguments', 'Answers the arguments that are mirrored in headers', {
    type: 'object',
    properties: {
      region: { type: 'string', 'x-mcp-header': 'Region' },
      limit: { type: 'integer', 'x-mcp-header': 'Limit' },
      dry: { type: 'boolean', 'x-mcp-header': 'Dry' },
    },
    required: ['region'],
  }),
];

export const kExtraTool = tool('test_extra_tool', 'Comes and goes by test_trigger_tool_change');
export const kExtraPrompt = { name: 'test_extra_prompt', description: 'Comes and goes by test_trigger_prompt_change' };

const argument = (name) => ({ name, description: `the argument ${name}`, required: true });
export const kPrompts = [
  { name: 'test_simple_prompt', description: 'One message' },
  {
    name: 'test_prompt_with_arguments',
    description: 'One message made of two arguments',
    arguments: [argument('arg1'), argument('arg2')],
  },
  {
    name: 'test_prompt_with_embedded_resource',
    description: 'A resource and a question about it',
    arguments: [argument('resourceUri')],
  },
  { name: 'test_prompt_with_image', description: 'An image and a question about it' },
  { name: 'test_input_required_result_prompt', description: 'Asks the user for the context first' },
];

const user = (content) => ({ role: 'user', content });
export function promptMessages(name, given) {
  switch (name) {
    case 'test_simple_prompt':
      return [user(text('This is a simple prompt for testing.'))];
    case 'test_prompt_with_arguments':
      return [user(text(`Prompt with arguments: arg1='${given.arg1}', arg2='${given.arg2}'`))];
    case 'test_prompt_with_embedded_resource':
      return [
        user(embedded(given.resourceUri, 'text/plain', 'Embedded resource content for testing.')),
        user(text('Please process the embedded resource above.')),
      ];
    case 'test_prompt_with_image':
      return [user(image), user(text('Please analyze the image above.'))];
    case 'test_input_required_result_prompt':
      return [user(text(`Use this context: ${given.context}`))];
    default:
      return undefined;
  }
}

export const kResources = [
  { uri: 'test://static-text', name: 'Static text', description: 'A text that never changes', mimeType: 'text/plain' },
  { uri: 'test://static-binary', name: 'Static image', description: 'A PNG', mimeType: 'image/png' },
  { uri: 'test://watched-resource', name: 'Watched', description: 'Changes when told to', mimeType: 'text/plain' },
];
export const kTemplates = [
  {
    uriTemplate: 'test://template/{id}/data',
    name: 'By id',
    description: 'One document for each id',
    mimeType: 'application/json',
  },
];

export function resourceContents(uri) {
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (id !== undefined) {
    const document = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
    return [{ uri, mimeType: 'application/json', text: document }];
  }
  switch (uri) {
    case 'test://static-text':
      return [{ uri, mimeType: 'text/plain', text: 'This is the content of the static text resource.' }];
    case 'test://static-binary':
      return [{ uri, mimeType: 'image/png', blob: kPng }];
    case 'test://watched-resource':
      return [{ uri, mimeType: 'text/plain', text: 'Watched resource content' }];
    default:
      return undefined;
  }
}

export function completion(typed) {
  const values = ['paris', 'park', 'party', 'test', 'testing'].filter((value) => value.startsWith(typed));
  return { completion: { values, total: values.length, hasMore: false } };
}

// What the fixtures ask their client. The keys are those of an input_required result.
export const ask = {
  name: (message = 'What is your name?') => ({
    method: 'elicitation/create',
    params: { mode: 'form', message, requestedSchema: object({ name: { type: 'string' } }) },
  }),
  color: () => ({
    method: 'elicitation/create',
    params: {
      mode: 'form',
      message: 'Step 2: What is your favorite color?',
      requestedSchema: object({ color: { type: 'string' } }),
    },
  }),
  confirmation: () => ({
    method: 'elicitation/create',
    params: { mode: 'form', message: 'Please confirm', requestedSchema: object({ ok: { type: 'boolean' } }) },
  }),
  context: () => ({
    method: 'elicitation/create',
    params: {
      mode: 'form',
      message: 'What context should the prompt use?',
      requestedSchema: object({ context: { type: 'string' } }),
    },
  }),
  model: (prompt, maxTokens = 100) => ({
    method: 'sampling/createMessage',
    params: { messages: [user(text(prompt))], maxTokens },
  }),
  roots: () => ({ method: 'roots/list', params: {} }),
};

const choices = (names) => names.map(([value, title]) => ({ const: value, title }));
export const kDefaultsForm = {
  type: 'object',
  properties: {
    name: { type: 'string', description: 'A name', default: 'John Doe' },
    age: { type: 'integer', description: 'An age', default: 30 },
    score: { type: 'number', description: 'A score', default: 95.5 },
    status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
    verified: { type: 'boolean', description: 'Whether it is verified', default: true },
  },
  required: [],
};
const kThree = [['value1', 'First'], ['value2', 'Second'], ['value3', 'Third']];
export const kEnumsForm = {
  type: 'object',
  properties: {
    untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
    titledSingle: { type: 'string', oneOf: choices(kThree) },
    legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['One', 'Two', 'Three'] },
    untitledMulti: { type: 'array', items: { type: 'string', enum: ['option1', 'option2', 'option3'] } },
    titledMulti: { type: 'array', items: { anyOf: choices(kThree) } },
  },
  required: [],
};
export const kAddressForm = object({
  username: string("User's response"),
  email: string("User's email address"),
});
