#define MCPFLEET_JSON_TEMPLATES
#include "cmake/json_templates.h"
