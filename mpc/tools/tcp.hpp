// One TCP connection with numbered frames and a deadline on every wait, for the stand-alone executables.
//
// It is for one machine and for benchmarks, as nothing is encrypted or authenticated here. Parties on separate machines
// speak over the Python channel, which is TLS 1.3 with client certificates.
#pragma once

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/base/byte_view.hpp"

namespace mpc::tools {

class ConnectionError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

using Clock = std::chrono::steady_clock;

class Connection {
public:
    // Waits on host:port for the one peer.
    static Connection accept(const std::string& host, std::uint16_t port, Clock::time_point deadline) {
        const Address address = resolve(host, port);
        Socket listener(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (listener.fd < 0) fail("cannot open a socket");
        const int on = 1;
        ::setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (::bind(listener.fd, address.get(), address.size) != 0 || ::listen(listener.fd, 1) != 0)
            fail("cannot listen on " + host + ":" + std::to_string(port));
        wait(listener.fd, POLLIN, deadline, "no peer connected to " + host + ":" + std::to_string(port));
        Connection connection{Socket(::accept4(listener.fd, nullptr, nullptr, SOCK_CLOEXEC)), deadline};
        if (connection.socket_.fd < 0) fail("cannot accept the peer's connection");
        connection.set_options();
        return connection;
    }

    // Connects to host:port, trying again while nobody listens there yet.
    static Connection connect(const std::string& host, std::uint16_t port, Clock::time_point deadline) {
        const Address address = resolve(host, port);
        for (;;) {
            Connection connection{Socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)), deadline};
            if (connection.socket_.fd < 0) fail("cannot open a socket");
            const std::string place = host + ":" + std::to_string(port);
            if (::connect(connection.socket_.fd, address.get(), address.size) == 0) {
                if (!connection.leads_to_itself()) {
                    connection.set_options();
                    return connection;
                }
                // Closed as usual it would keep the peer from binding its port for another minute.
                const linger none{1, 0};
                ::setsockopt(connection.socket_.fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
            } else if (errno != ECONNREFUSED && errno != EINTR) {
                fail("cannot connect to " + place);
            }
            if (Clock::now() >= deadline) throw ConnectionError("nobody listened on " + place + " before the deadline");
            ::poll(nullptr, 0, 1);  // 1 ms, then the next try
        }
    }

    // A frame: magic, number of the message in this direction, length of the body, body.
    void send(const std::vector<Bytes>& parts) {
        std::size_t length = 0;
        for (const Bytes& part : parts) length += part.size();
        Bytes frame(kHeaderBytes);
        const std::uint64_t body = length;
        std::memcpy(&frame[0], &kMagic, sizeof kMagic);
        std::memcpy(&frame[4], &sent_, sizeof sent_);
        std::memcpy(&frame[8], &body, sizeof body);
        frame.reserve(kHeaderBytes + length);
        for (const Bytes& part : parts) frame.insert(frame.end(), part.begin(), part.end());
        ++sent_;
        std::size_t done = 0;
        while (done < frame.size()) {
            wait(socket_.fd, POLLOUT, deadline_, "the peer did not take our message");
            const ssize_t n = ::send(socket_.fd, &frame[done], frame.size() - done, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0 && errno != EAGAIN && errno != EINTR) fail("cannot send to the peer");
            if (n > 0) done += static_cast<std::size_t>(n);
        }
    }

    // The next frame, whose body must have this length.
    Bytes receive(const std::string& what, std::size_t length) {
        std::uint8_t header[kHeaderBytes];
        read(header, sizeof header, what);
        std::uint32_t magic, number;
        std::uint64_t body;
        std::memcpy(&magic, header, sizeof magic);
        std::memcpy(&number, header + 4, sizeof number);
        std::memcpy(&body, header + 8, sizeof body);
        if (magic != kMagic || number != received_)
            throw ConnectionError(what + ": the peer does not speak this protocol");
        if (body != length)
            throw ConnectionError(what + ": expected " + std::to_string(length) + " bytes, found " +
                                  std::to_string(body));
        ++received_;
        Bytes message(length);
        read(message.data(), length, what);
        return message;
    }

private:
    static constexpr std::uint32_t kMagic = 0x31504d43;  // "CMP1"
    static constexpr std::size_t kHeaderBytes = 16;

    struct Socket {
        int fd = -1;
        explicit Socket(int descriptor) : fd(descriptor) {}
        Socket(Socket&& other) noexcept : fd(other.fd) { other.fd = -1; }
        Socket& operator=(Socket&&) = delete;
        ~Socket() {
            if (fd >= 0) ::close(fd);
        }
    };

    struct Address {
        sockaddr_storage storage;
        socklen_t size;
        int family() const { return storage.ss_family; }
        const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
    };

    Connection(Socket socket, Clock::time_point deadline) : socket_(std::move(socket)), deadline_(deadline) {}

    [[noreturn]] static void fail(const std::string& what) {
        throw ConnectionError(what + ": " + std::strerror(errno));
    }

    static Address resolve(const std::string& host, std::uint16_t port) {
        addrinfo hints{};
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = AI_NUMERICSERV;
        addrinfo* found = nullptr;
        const int status = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
        if (status != 0) throw ConnectionError("unknown host '" + host + "': " + ::gai_strerror(status));
        const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
        Address address{};
        address.size = found->ai_addrlen;
        std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
        return address;
    }

    static void wait(int fd, short events, Clock::time_point deadline, const std::string& otherwise) {
        for (;;) {
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
            if (left <= 0) throw ConnectionError(otherwise + " before the deadline");
            pollfd entry{fd, events, 0};
            const int ready = ::poll(&entry, 1, static_cast<int>(std::min<long long>(left, 60'000)));
            if (ready > 0) return;
            if (ready < 0 && errno != EINTR) fail("cannot wait for the peer");
        }
    }

    // Whether the system chose the dialled port for this end, too, and connected the socket to itself.
    bool leads_to_itself() const {
        sockaddr_storage own{}, other{};
        socklen_t own_size = sizeof own, other_size = sizeof other;
        return ::getsockname(socket_.fd, reinterpret_cast<sockaddr*>(&own), &own_size) == 0 &&
               ::getpeername(socket_.fd, reinterpret_cast<sockaddr*>(&other), &other_size) == 0 &&
               own_size == other_size && std::memcmp(&own, &other, own_size) == 0;
    }

    void set_options() const {
        const int on = 1;
        ::setsockopt(socket_.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }

    void read(std::uint8_t* target, std::size_t length, const std::string& what) {
        std::size_t done = 0;
        while (done < length) {
            wait(socket_.fd, POLLIN, deadline_, what + ": the peer said nothing");
            const ssize_t n = ::recv(socket_.fd, target + done, length - done, MSG_DONTWAIT);
            if (n == 0) throw ConnectionError(what + ": the peer closed the connection");
            if (n < 0 && errno != EAGAIN && errno != EINTR) fail(what + ": cannot receive from the peer");
            if (n > 0) done += static_cast<std::size_t>(n);
        }
    }

    Socket socket_;
    Clock::time_point deadline_;
    std::uint32_t sent_ = 0, received_ = 0;
};

}  // namespace mpc::tools
