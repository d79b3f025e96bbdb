// What every file would compile again: the JSON library's templates for our one type of document. They are compiled
// once, in the precompiled headers' own library; last in each list of precompiled headers.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#ifndef MCPFLEET_JSON_TEMPLATES
#define MCPFLEET_JSON_TEMPLATES extern
#endif

MCPFLEET_JSON_TEMPLATES template class nlohmann::basic_json<>;
MCPFLEET_JSON_TEMPLATES template class std::map<std::string, nlohmann::json, std::less<>>;
MCPFLEET_JSON_TEMPLATES template class std::vector<nlohmann::json>;
MCPFLEET_JSON_TEMPLATES template class nlohmann::detail::serializer<nlohmann::json>;
