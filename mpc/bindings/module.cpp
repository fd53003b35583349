// The Python module mpc._core, with circuits, garbler and evaluator sessions, encrypted linear maps, encrypted real
// vectors, arithmetic on arrays of shares, and errors. It is documented in _core.pyi.
#include <exception>

#include "bindings/convert.hpp"

namespace {

namespace nb = nanobind;

// The classes of mpc/errors.py, so that one `except` catches what Python and C++ code raise.
void raise(const char* name, const char* text) {
    PyObject* module = PyImport_ImportModule("mpc.errors");
    if (module == nullptr) return;
    PyObject* type = PyObject_GetAttrString(module, name);
    Py_DECREF(module);
    if (type == nullptr) return;
    PyErr_SetString(type, text);
    Py_DECREF(type);
}

void translate(const std::exception_ptr& pointer, void*) {
    try {
        std::rethrow_exception(pointer);
    } catch (const mpc::ParameterError& error) {
        raise("ParameterError", error.what());
    } catch (const mpc::RandomnessError& error) {
        raise("MpcError", error.what());
    } catch (const mpc::OrderError& error) {
        raise("OrderError", error.what());
    } catch (const mpc::Error& error) {  // LengthError, MalformedError, LimitError
        raise("ProtocolError", error.what());
    }
}

}  // namespace

NB_MODULE(_core, m) {
    // A process that ends while a thread still waits for its peer keeps objects to the end; that is no leak.
    nb::set_leak_warnings(false);
    m.doc() = "Circuits, garbling and oblivious transfer: protocol steps as bytes in, bytes out.";
    nb::register_exception_translator(translate);
    mpc::bindings::bind_circuit(m);
    mpc::bindings::bind_curve(m);
    mpc::bindings::bind_sessions(m);
    mpc::bindings::bind_rlwe(m);
    mpc::bindings::bind_ckks(m);
    mpc::bindings::bind_tensor(m);
    mpc::bindings::bind_tensor_words(m);
    mpc::bindings::bind_prio(m);
}
