// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/connect/endpoint.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace octavo::tool {
namespace {
using std::chrono::milliseconds;

auto say(const std::string& name, int error) { return complain(fmt::format("{}: {}", name, std::strerror(error))); }

/// connect() with a limit. Returns errno's number, or 0.
int connect_within(int fd, const sockaddr* address, socklen_t size, milliseconds limit) {
  if (connect(fd, address, size) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  pollfd watched{fd, POLLOUT, 0};
  if (poll(&watched, 1, static_cast<int>(limit.count())) <= 0) return ETIMEDOUT;
  int error = 0;
  socklen_t length = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

Outcome<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return complain(fmt::format("{}: longer than the {} characters that a socket's path can have", path, sizeof address.sun_path - 1));
  path.copy(address.sun_path, path.size());
  return address;
}

Outcome<Descriptor> open_unix(const std::string& path, milliseconds limit) {
  const sockaddr_un address = OCTAVO_TRY(unix_address(path));
  Descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!socket.is_open()) return say(path, errno);
  if (const int error = connect_within(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address, limit)) {
    if (error == EAGAIN) return complain(path + ": somebody else is connected");
    if (error == ECONNREFUSED) return complain(path + ": nobody listens at this socket");
    return say(path, error);
  }
  return socket;
}

bool is_loopback(const sockaddr& address) {
  if (address.sa_family == AF_INET) return (ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr) >> 24) == 127;
  return address.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

Outcome<Descriptor> open_tcp(const std::string& name, milliseconds limit) {
  const std::size_t begin = 4, colon = name.rfind(':');
  if (colon <= begin) return complain(name + ": tcp:HOST:PORT is what it should be");
  std::string host = name.substr(begin, colon - begin);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  addrinfo wish{};
  wish.ai_socktype = SOCK_STREAM;
  wish.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), name.c_str() + colon + 1, &wish, &found)) return complain(fmt::format("{}: {}", name, gai_strerror(error)));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list{found, freeaddrinfo};
  int error = 0;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    if (!is_loopback(*at->ai_addr)) return complain(fmt::format("{}: only this host's loopback, because the channel knows no passwords; use a tunnel, for example ssh -L", name));
    Descriptor socket{::socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    error = socket.is_open() ? connect_within(socket.get(), at->ai_addr, at->ai_addrlen, limit) : errno;
    if (error == 0) return socket;
  }
  return say(name, error);
}

Outcome<Descriptor> open_device(const std::string& path) {
  Descriptor device{open(path.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)};
  if (!device.is_open()) return say(path, errno);
  termios settings{};
  if (tcgetattr(device.get(), &settings) != 0) return complain(path + ": neither a socket nor a serial device");
  cfmakeraw(&settings);
  settings.c_cflag |= CLOCAL | CREAD;
  settings.c_cflag &= ~static_cast<tcflag_t>(CSTOPB | CRTSCTS);
  cfsetspeed(&settings, B115200);
  if (tcsetattr(device.get(), TCSANOW, &settings) != 0) return say(path, errno);
  return device;
}

bool is_socket(const std::string& path) {
  struct stat status{};
  return stat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}
}  // namespace

Outcome<Descriptor> open_endpoint(const std::string& name, milliseconds limit) {
  if (name.starts_with("tcp:")) return open_tcp(name, limit);
  if (name.starts_with("unix:")) return open_unix(name.substr(5), limit);
  return is_socket(name) ? open_unix(name, limit) : open_device(name);
}

std::string why_no_socket_at(const std::string& path) {
  if (const auto address = unix_address(path); !address) return address.error();
  struct stat status{};
  if (lstat(path.c_str(), &status) != 0) return errno == ENOENT ? std::string{} : fmt::format("{}: {}", path, std::strerror(errno));
  if (!S_ISSOCK(status.st_mode)) return path + ": is there already and is no socket";
  if (open_unix(path, milliseconds{200})) return path + ": another machine listens there";
  return {};
}
}  // namespace octavo::tool
