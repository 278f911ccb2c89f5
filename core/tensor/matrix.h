#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <span>
#include <vector>

namespace rankwright {

/// Allocator of 64-byte aligned, uninitialised-on-resize storage: a cache line and the widest vector register.
template <typename T>
struct AlignedAllocator
{
    using value_type = T;
    static constexpr std::align_val_t alignment{64};

    AlignedAllocator() = default;
    template <typename U>
    AlignedAllocator(const AlignedAllocator<U>&) // NOLINT(google-explicit-constructor): required of allocators
    {}
    T* allocate(std::size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), alignment)); }
    void deallocate(T* pointer, std::size_t) { ::operator delete(pointer, alignment); }
    bool operator==(const AlignedAllocator&) const { return true; }
};

template <typename T>
using AlignedVector = std::vector<T, AlignedAllocator<T>>;

/// Rows x columns, row-major, `stride` elements from one row to the next. Does not own its data.
template <typename T>
struct MatrixView
{
    T* data = nullptr;
    std::size_t rows = 0;
    std::size_t columns = 0;
    std::size_t stride = 0;

    T* row(std::size_t i) const { return data + i * stride; }
    std::span<T> rowSpan(std::size_t i) const { return {row(i), columns}; }
    T& operator()(std::size_t i, std::size_t j) const { return data[i * stride + j]; }
    /// `count` rows from `first`.
    MatrixView rowRange(std::size_t first, std::size_t count) const
    {
        return {data + first * stride, count, columns, stride};
    }
    /// `count` columns from `first`.
    MatrixView columnRange(std::size_t first, std::size_t count) const { return {data + first, rows, count, stride}; }
    operator MatrixView<const T>() const // NOLINT(google-explicit-constructor): as T* converts to const T*
        requires(!std::is_const_v<T>)
    {
        return {data, rows, columns, stride};
    }
};

template <typename T>
using ConstMatrixView = MatrixView<const T>;

/// Owning rows x columns matrix, row-major and contiguous, zero-initialised.
template <typename T>
class Matrix
{
public:
    Matrix() = default;
    Matrix(std::size_t rows, std::size_t columns)
        : m_rows(rows)
        , m_columns(columns)
        , m_data(rows * columns)
    {}

    std::size_t rows() const { return m_rows; }
    std::size_t columns() const { return m_columns; }
    std::size_t size() const { return m_data.size(); }
    bool empty() const { return m_data.empty(); }
    T* data() { return m_data.data(); }
    const T* data() const { return m_data.data(); }
    T* row(std::size_t i) { return m_data.data() + i * m_columns; }
    const T* row(std::size_t i) const { return m_data.data() + i * m_columns; }
    T& operator()(std::size_t i, std::size_t j) { return m_data[i * m_columns + j]; }
    const T& operator()(std::size_t i, std::size_t j) const { return m_data[i * m_columns + j]; }
    std::span<T> span() & { return m_data; }
    std::span<const T> span() const& { return m_data; }
    std::span<T> span() && = delete; // would dangle, in a range-for before its first element
    MatrixView<T> view() { return {data(), m_rows, m_columns, m_columns}; }
    ConstMatrixView<T> view() const { return {data(), m_rows, m_columns, m_columns}; }

    /// Changes the shape; the content is then unspecified. Keeps the allocation where it is large enough.
    void reshape(std::size_t rows, std::size_t columns)
    {
        m_data.resize(rows * columns);
        m_rows = rows;
        m_columns = columns;
    }

private:
    std::size_t m_rows = 0;
    std::size_t m_columns = 0;
    AlignedVector<T> m_data;
};

/// Element-wise conversion, e.g. float32 weights to float64.
template <typename To, typename From>
Matrix<To> convertMatrix(const Matrix<From>& source)
{
    Matrix<To> result(source.rows(), source.columns());
    for (std::size_t i = 0; i < source.size(); ++i)
        result.data()[i] = static_cast<To>(source.data()[i]);
    return result;
}

template <typename T>
Matrix<T> transposed(const Matrix<T>& A)
{
    Matrix<T> result(A.columns(), A.rows());
    for (std::size_t i = 0; i < A.rows(); ++i)
        for (std::size_t j = 0; j < A.columns(); ++j)
            result(j, i) = A(i, j);
    return result;
}

} // namespace rankwright
