// The JSON library's templates for our one type of document: made with the precompiled headers, not by each file.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

template class nlohmann::basic_json<>;
template class std::map<std::string, nlohmann::json, std::less<>>;
template class std::vector<nlohmann::json>;
template class nlohmann::detail::serializer<nlohmann::json>;
