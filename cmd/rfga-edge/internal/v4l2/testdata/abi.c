/* The sizes, offsets and numbers that abi.go repeats, as a C compiler has them: cc -S -o - abi.c. See abi_test.go. */
#include <linux/videodev2.h>
#include <stddef.h>
#define SIZE(t) unsigned size_##t = sizeof(struct t);
#define AT(t, f) unsigned at_##t##_##f = offsetof(struct t, f);
#define NUMBER(n) unsigned number_##n = (unsigned)n;
SIZE(v4l2_capability) SIZE(v4l2_fmtdesc) SIZE(v4l2_pix_format) SIZE(v4l2_format) SIZE(v4l2_requestbuffers)
SIZE(v4l2_buffer) SIZE(v4l2_frmsizeenum) SIZE(v4l2_streamparm)
AT(v4l2_capability, device_caps) AT(v4l2_fmtdesc, pixelformat) AT(v4l2_pix_format, quantization) AT(v4l2_format, fmt)
AT(v4l2_buffer, field) AT(v4l2_buffer, timestamp) AT(v4l2_buffer, timecode) AT(v4l2_buffer, sequence) AT(v4l2_buffer, m)
AT(v4l2_buffer, length) AT(v4l2_buffer, request_fd) AT(v4l2_frmsizeenum, discrete)
unsigned at_v4l2_streamparm_timeperframe = offsetof(struct v4l2_streamparm, parm.capture.timeperframe);
NUMBER(VIDIOC_QUERYCAP) NUMBER(VIDIOC_ENUM_FMT) NUMBER(VIDIOC_S_FMT) NUMBER(VIDIOC_REQBUFS) NUMBER(VIDIOC_QUERYBUF)
NUMBER(VIDIOC_QBUF) NUMBER(VIDIOC_DQBUF) NUMBER(VIDIOC_STREAMON) NUMBER(VIDIOC_STREAMOFF) NUMBER(VIDIOC_S_PARM)
NUMBER(VIDIOC_ENUM_FRAMESIZES)
NUMBER(V4L2_CAP_VIDEO_CAPTURE) NUMBER(V4L2_CAP_VIDEO_CAPTURE_MPLANE) NUMBER(V4L2_CAP_STREAMING) NUMBER(V4L2_CAP_DEVICE_CAPS)
NUMBER(V4L2_BUF_TYPE_VIDEO_CAPTURE) NUMBER(V4L2_MEMORY_MMAP) NUMBER(V4L2_FIELD_NONE) NUMBER(V4L2_FRMSIZE_TYPE_DISCRETE)
NUMBER(V4L2_BUF_FLAG_ERROR) NUMBER(V4L2_BUF_FLAG_TIMESTAMP_MASK) NUMBER(V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC)
NUMBER(V4L2_COLORSPACE_JPEG) NUMBER(V4L2_COLORSPACE_REC709) NUMBER(V4L2_YCBCR_ENC_709) NUMBER(V4L2_QUANTIZATION_FULL_RANGE)
NUMBER(V4L2_PIX_FMT_NV12) NUMBER(V4L2_PIX_FMT_YUV420) NUMBER(V4L2_PIX_FMT_NV21) NUMBER(V4L2_PIX_FMT_YUYV) NUMBER(V4L2_PIX_FMT_UYVY)
NUMBER(V4L2_PIX_FMT_YUV422P) NUMBER(V4L2_PIX_FMT_RGB24) NUMBER(V4L2_PIX_FMT_BGR24) NUMBER(V4L2_PIX_FMT_RGBX32)
NUMBER(V4L2_PIX_FMT_RGBA32) NUMBER(V4L2_PIX_FMT_XBGR32) NUMBER(V4L2_PIX_FMT_ABGR32) NUMBER(V4L2_PIX_FMT_MJPEG)
NUMBER(V4L2_PIX_FMT_JPEG) NUMBER(V4L2_PIX_FMT_GREY)
