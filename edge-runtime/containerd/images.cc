#include "edge-runtime/containerd/images.h"

#include <containerd_api/images.grpc.pb.h>

#include "edge-runtime/containerd/rpc.h"

namespace mcpfleet::containerd {
namespace {

namespace api = ::containerd::services::images::v1;

Image ImageOf(const api::Image& from) {
  Image image;
  image.name = from.name();
  image.labels.insert(from.labels().begin(), from.labels().end());
  image.target = {from.target().media_type(), from.target().digest(), from.target().size()};
  image.created_at = TimeOf(from.created_at());
  return image;
}

}  // namespace

StatusOr<std::optional<Image>> GetImage(const Connection& connection, const std::string& name, Deadline deadline) {
  api::GetImageRequest request;
  request.set_name(name);
  api::GetImageResponse response;
  const Status status =
      Call<api::Images>(connection, deadline, "image " + name, &api::Images::Stub::Get, request, &response);
  if (status.code() == StatusCode::kNotFound) return std::optional<Image>();
  RETURN_IF_ERROR(status);
  return std::optional<Image>(ImageOf(response.image()));
}

StatusOr<std::vector<Image>> ListImages(const Connection& connection, const std::string& filter, Deadline deadline) {
  api::ListImagesRequest request;
  request.add_filters(filter);
  api::ListImagesResponse response;
  RETURN_IF_ERROR(Call<api::Images>(connection, deadline, "list images", &api::Images::Stub::List, request, &response));
  std::vector<Image> images;
  images.reserve(static_cast<size_t>(response.images_size()));
  for (const api::Image& image : response.images()) images.push_back(ImageOf(image));
  return images;
}

Status CreateImage(const Connection& connection, const Image& image, Deadline deadline) {
  api::CreateImageRequest request;
  api::Image* to = request.mutable_image();
  to->set_name(image.name);
  to->mutable_labels()->insert(image.labels.begin(), image.labels.end());
  to->mutable_target()->set_media_type(image.target.media_type);
  to->mutable_target()->set_digest(image.target.digest);
  to->mutable_target()->set_size(image.target.size);
  api::CreateImageResponse response;
  return Call<api::Images>(connection, deadline, "image " + image.name, &api::Images::Stub::Create, request, &response);
}

Status DeleteImage(const Connection& connection, const std::string& name, Deadline deadline) {
  api::DeleteImageRequest request;
  request.set_name(name);
  wire::Empty response;
  const Status status =
      Call<api::Images>(connection, deadline, "remove image " + name, &api::Images::Stub::Delete, request, &response);
  return status.code() == StatusCode::kNotFound ? OkStatus() : status;
}

}  // namespace mcpfleet::containerd
