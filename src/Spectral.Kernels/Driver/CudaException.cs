namespace Spectral.Kernels.Driver;

/// <summary>A driver, BLAS or solver call that failed: which call, its status, and what was being done.</summary>
public class CudaException : Exception
{
    internal CudaException(string call, int code, string name, string text, string doing)
        : base($"{doing}: {call} returned {name} ({code}){(text.Length > 0 ? ": " + text : "")}")
    {
        Call = call;
        Code = code;
        StatusName = name;
    }

    /// <summary>The call's own text, with its arguments as written.</summary>
    public string Call { get; }

    /// <summary>The status code as the library returned it (CUresult, cublasStatus_t or cusolverStatus_t).</summary>
    public int Code { get; }

    /// <summary>The symbolic name of <see cref="Code"/>, e.g. <c>CUDA_ERROR_OUT_OF_MEMORY</c>.</summary>
    public string StatusName { get; }

    /// <summary>True when device memory ran out.</summary>
    public bool IsOutOfMemory =>
        StatusName is "CUDA_ERROR_OUT_OF_MEMORY" or "CUBLAS_STATUS_ALLOC_FAILED" or "CUSOLVER_STATUS_ALLOC_FAILED";
}
