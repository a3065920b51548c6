// Package wsol reads data sets in the metadata layout of the field of weakly supervised localization (that of
// clovaai/wsolevaluation): a folder with image_ids.txt and beside it, as far as they exist, class_labels.txt (id,class),
// image_sizes.txt (id,width,height) and localization.txt, which holds boxes (id,x0,y0,x1,y1; several lines an image) or masks
// (id,mask file,ignore file; several lines an image).
//
// The files stay on disk: what is kept in memory is 8 bytes an image and 16 a line, to find its lines in any order.
//
// It imports the standard library, and packages frame and rfga.
package wsol
